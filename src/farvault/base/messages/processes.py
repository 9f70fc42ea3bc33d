"""Messages of background processes: start, progress, end, per kind of work."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # any process
    "ANR0984I": Row("Process {number} for {description} started in the {where} at {time}."),
    "ANR0985I": Row(
        "Process {number} for {description} running in the {where} completed with completion state {state} at {time}."
    ),
    "ANR0986I": Row(
        "Process {number} for {description} running in the {where} processed {items} items for a total of {size} with a completion state of {state} at {time}."
    ),
    "ANR0987I": Row(
        "Process {number} for {description} running in the {where} processed {items} items with a completion state of {state} at {time}."
    ),
    "ANR1893E": Row(
        "Process {number} for {description} ended with completion state {state}; {failed} items were not processed.",
        "It was cancelled, or something went wrong; the lines before this one say what.",
        "Remove the cause and start it again: what it did so far is kept.",
    ),
    "ANR0942E": Row(
        "There is no process {number}.", "It may have ended.", "QUERY PROCESS lists what is running."
    ),
    "ANR0943I": Row("Process {number} was cancelled."),
}
