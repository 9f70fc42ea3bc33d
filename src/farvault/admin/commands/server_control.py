"""The server itself: QUERY STATUS, HALT."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.alerts import alerts
from farvault.admin.authority import ANYONE, OPERATOR
from farvault.admin.command import Call, Command
from farvault.admin.instance import Instance
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    count_column,
    percent_column,
    time_column,
    yes_column,
)
from farvault.base.messages import message
from farvault.base.units import show_size
from farvault.catalog import drills, volume_checks
from farvault.catalog.protection_file_settings import DEVCONFIG, VOLUMEHISTORY
from farvault.catalog.settings import all_settings
from farvault.policy.scrub import coverage
from farvault.processes.challenge_server import challenges_a_day
from farvault.processes.expire_inventory import EXPIRE_HOURS
from farvault.processes.scrub import PERIOD_DAYS, period_days, rate_mib
from farvault.seal.identity import fingerprint, key_fingerprint
from farvault.storage.vault_volumes import unfinished_kept_hours


def _status(instance: Instance, call: Call) -> Iterator[Answer]:
    del call
    with instance.catalog.read() as r:
        settings = all_settings(r)
        days, rate = period_days(r), rate_mib(r)
        checked = coverage(volume_checks.states(r), instance.clock.now_seconds(), days or PERIOD_DAYS)
        proven, drilled = drills.last_success(r), drills.last(r)
        challenges, unfinished = challenges_a_day(r), unfinished_kept_hours(r)
        waiting = sum(1 for _ in alerts(r, instance.clock.now_seconds()))
    disabled = instance.availability.disabled
    row = {
        "server_name": settings.get("SERVERNAME", ""),
        "high_level_address": settings.get("SERVERHLADDRESS", ""),
        "low_level_address": settings.get("SERVERLLADDRESS", ""),
        "data_port": instance.data_port,
        "fingerprint": fingerprint(instance.identity.certificate_der),
        "identity_fingerprint": key_fingerprint(instance.identity.public_key_bytes),
        "version": instance.product_version,
        "folder": instance.folder,
        "cross_define": settings.get("CROSSDEFINE", "OFF"),
        "server_password_set": "SERVERPASSWORD" in settings,
        "installed_time": int(settings.get("INSTALLED", "0")),
        "restarted_time": instance.started_time,
        "proven_time": proven.started_time if proven else 0,
        "proven_state_time": proven.backup_time if proven else 0,
        "last_drill": drilled.result if drilled else "NONE",
        "recovering": settings.get("RECOVERING", "NO") == "YES",
        "expire_hours": int(settings.get("EXPINTERVAL", str(EXPIRE_HOURS))),
        "expire_quiet": settings.get("EXPQUIET", "NO") == "YES",
        "challenges": challenges,
        "reconcile_hours": int(settings.get("RECONCILEINTERVAL", "0")),
        "unfinished_hours": unfinished,
        "scrub_days": days,
        "scrub_rate": rate,
        "scrub_percent": checked.percent,
        "scrub_late_bytes": checked.late_bytes,
        "alerts": waiting,
        "availability": f"Disabled for {', '.join(disabled).lower()} sessions" if disabled else "Enabled",
        "sessions": len(instance.session_table.list()),
        "processes": len(instance.processes.list()),
        "log_mode": instance.catalog.log_mode,
        "history_files": ", ".join(instance.protection_files.paths(VOLUMEHISTORY)),
        "device_files": ", ".join(instance.protection_files.paths(DEVCONFIG)),
        "epoch": int(settings.get("EPOCH", "1")),
    }
    yield Report(columns=_COLUMNS, rows=[row], detailed=True)


_COLUMNS = (
    Column(key="server_name", label="Server Name"),
    Column(key="high_level_address", label="Server host name or IP address"),
    Column(key="low_level_address", label="Server TCP/IP port number"),
    Column(key="data_port", label="Listening on port"),
    Column(key="fingerprint", label="Fingerprint"),
    Column(key="identity_fingerprint", label="Identity Fingerprint"),
    Column(key="version", label="Version"),
    Column(key="folder", label="Instance folder"),
    Column(key="cross_define", label="Crossdefine", show=str.capitalize),
    yes_column("server_password_set", "Server Password Set"),
    time_column("installed_time", "Server Installation Date/Time"),
    time_column("restarted_time", "Server Restart Date/Time"),
    time_column("proven_time", "Last Proven Restorable"),
    time_column("proven_state_time", "Proven State of"),
    Column(key="last_drill", label="Last Drill", show=str.capitalize),
    yes_column("recovering", "Recovery in Progress?"),
    count_column("expire_hours", "Expiration Interval (hours)"),
    yes_column("expire_quiet", "Expiration Quiet"),
    count_column("challenges", "Challenges per Day"),
    count_column("reconcile_hours", "Reconcile Interval (hours)"),
    count_column("unfinished_hours", "Unfinished Retention (hours)"),
    count_column("scrub_days", "Scrub Period (days)"),
    count_column("scrub_rate", "Scrub Rate (MiB/s)"),
    percent_column("scrub_percent", "Pct Checked Within Period"),
    Column(key="scrub_late_bytes", label="Scrub Overdue", show=show_size, number=True),
    count_column("alerts", "Alerts"),
    Column(key="availability", label="Availability"),
    Column(key="sessions", label="Sessions"),
    Column(key="processes", label="Processes"),
    Column(key="log_mode", label="Log Mode", show=str.capitalize),
    Column(key="history_files", label="Volume History Files"),
    Column(key="device_files", label="Device Configuration Files"),
    Column(key="epoch", label="Catalog Epoch"),
)


def _halt(instance: Instance, call: Call) -> Iterator[Answer]:
    del call
    with instance.catalog.read() as r:
        name = all_settings(r).get("SERVERNAME", "")
    yield message("ANR2234W", server=name)
    instance.halt()


def _confirm_halt(instance: Instance, call: Call) -> str:
    del instance, call
    return str(message("ANR2235W"))


COMMANDS = (
    Command(
        words=("Query", "STatus"),
        rule=ANYONE,
        help="Show the server's own settings and state.",
        run=_status,
    ),
    Command(
        words=("HALT",),
        rule=OPERATOR,
        help="Stop the server. Sessions are cut and processes cancelled; nothing acknowledged is lost.",
        run=_halt,
        confirm=_confirm_halt,
    ),
)
