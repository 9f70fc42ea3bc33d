"""Messages of the administrative command line program (ANS8xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    "ANS8003I": Row("Process number {number} started."),
    "ANS8000I": Row("Server command: '{command}'"),
    "ANS8001I": Row("Return code {code}."),
    "ANS8002I": Row("Highest return code was {code}."),
    "ANS8010E": Row("{option} is not an option of farvault admin.", "", "`farvault admin -help` lists them."),
    "ANS8011E": Row("Option {option} has {value}; it takes {right}.", "", "Correct it."),
    "ANS8012E": Row(
        "{what}: nobody can be asked, because input is not a terminal.",
        "",
        "Give -ID= and -PASSWORDFILE=, or -INSTANCE= for the server of a folder on this machine.",
    ),
    "ANS8013E": Row("File {path} cannot be used: {reason}.", "", "Correct the name or its permissions."),
    "ANS8014I": Row(
        "Server at {host} port {port} is new here. Its fingerprint {fingerprint} is remembered in {path}."
    ),
    "ANS8015W": Row(
        "Interrupted. The command may still be running at the server: QUERY PROCESS, QUERY SESSION."
    ),
    "ANS8016E": Row("Macro {path}: macros call each other more than {deepest} deep.", "", "Look for a ring."),
    "ANS8017W": Row("Macro {path} stopped at a command that failed; what was done before it stays done."),
    "ANS8018I": Row("Every command is committed when it ends; COMMIT has nothing to do."),
    "ANS8019E": Row(
        "ROLLBACK is not possible: every command is committed when it ends.",
        "",
        "Undo the commands one by one.",
    ),
    "ANS8020E": Row(
        "The command was not done: nobody can be asked, because input is not a terminal.",
        "",
        "Repeat it with -NOCONFIRM.",
    ),
    "ANS8021E": Row("The command was not done: the answer was no.", "", "Repeat it to answer again."),
    "ANS8023E": Row(
        "No session with the server: {reason}",
        "",
        "Check its address, whether it runs, and name and password.",
    ),
}
