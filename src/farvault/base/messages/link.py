"""Messages about the link between source and target."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    "ANR4810E": Row(
        "Nothing has come from {peer} for {seconds} seconds: the link is taken for dead.",
        "The other server, or something on the way to it, keeps the connection and says nothing. Not even the heartbeats that servers send each other arrive.",
        'At a source the work goes on over a new link, as RETRYPERIOD allows. If this comes back, see the page "A link is bad" of the manual.',
    ),
    "ANR4813I": Row(
        "What unfinished transfers of sources have brought is kept for {hours} hours.",
        "A source that comes back in this time names it instead of sending it again.",
    ),
}
