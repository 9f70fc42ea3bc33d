"""What QUERY SERVER and QUERY MOUNT show of the links to targets: sessions, retries, the last error, how much moved."""

from __future__ import annotations

from typing import Final

from farvault.admin.output import Column, Row, count_column, time_column
from farvault.base.units import show_size
from farvault.media.link_book import LinkStatus


def link_row(status: LinkStatus, idle: int) -> Row:
    """`idle`: how many of the sessions are only kept for the next use."""
    row: dict[str, object] = {
        "sessions_open": status.sessions,
        "sessions_idle": min(idle, status.sessions),
        "sessions_waiting": status.waiting,
        "links_broken": status.broken,
        "records_again": status.records_again,
        "link_bytes_sent": status.bytes_sent,
        "link_bytes_received": status.bytes_received,
    }
    if status.error_time:
        row |= {"link_error": status.error, "link_error_time": status.error_time}
    if status.retries:
        row |= {
            "retrying_since_time": status.retries[0].since_time,
            "retry_next_time": min(one.next_time for one in status.retries),
        }
    return row


LINK_COLUMNS: Final = (
    count_column("sessions_open", "Sessions open"),
    count_column("sessions_idle", "Sessions idle"),
    count_column("sessions_waiting", "Waiting for a Session"),
    time_column("retrying_since_time", "Retrying since"),
    time_column("retry_next_time", "Next Try"),
    time_column("link_error_time", "Last Link Error Date/Time"),
    Column(key="link_error", label="Last Link Error"),
    count_column("links_broken", "Links broken since Start"),
    count_column("records_again", "Records sent twice since Start"),
    Column(key="link_bytes_sent", label="Sent since Start", show=show_size, number=True),
    Column(key="link_bytes_received", label="Received since Start", show=show_size, number=True),
)
