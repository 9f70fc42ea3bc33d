"""Messages of the administrative command language: parsing, authority, definitions (ANR2xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # validating a policy set
    "ANR1554E": Row(
        "Policy set {policy_set} of domain {domain} has no default management class.",
        "Files that no include statement binds would have no class.",
        "Name one with ASSIGN DEFMGMTCLASS.",
    ),
    "ANR1555W": Row(
        "Default class {management_class} of set {policy_set}, domain {domain}, has no backup copy group: files bound to "
        "it are not backed up."
    ),
    "ANR1556W": Row(
        "Default class {management_class} of set {policy_set}, domain {domain}, has no archive copy group: files bound to "
        "it cannot be archived."
    ),
    "ANR1557W": Row(
        "Storage pool {pool}, {use} destination of class {management_class} in set {policy_set}, domain {domain}, is not "
        "defined."
    ),
    "ANR1558E": Row(
        "Storage pool {pool}, {use} destination of class {management_class} in set {policy_set}, domain {domain}, is a "
        "copy pool.",
        "Clients store into primary pools only.",
        "Change the destination to a primary pool.",
    ),
    "ANR1559W": Row(
        "Class {management_class} is in the ACTIVE set of domain {domain} but not in set {policy_set}: files bound to it "
        "will be bound to the default class."
    ),
    "ANR1560W": Row(
        "Class {management_class} of set {policy_set}, domain {domain}, has no {use} copy group while the ACTIVE set has "
        "one: its files will be kept as those of the default class, or by the domain's grace period where that has none "
        "either."
    ),
    "ANR1561W": Row(
        "Class {management_class} of set {policy_set}, domain {domain}, needs a backup before migration but has no backup "
        "copy group: no file bound to it will migrate."
    ),
    # reading a command line
    "ANR2000E": Row("Unknown command: {command}. {right}", "", "Correct it; HELP lists all commands."),
    "ANR2002E": Row(
        "The quote {quote} in column {column} is never closed.",
        "A quoted value ends with the same quote; inside it that quote is doubled.",
        "Add the closing quote.",
    ),
    "ANR2003E": Row(
        "The = in column {column} has no keyword before it.",
        "KEYWORD=value is written without blanks; a value that holds = is quoted.",
        "Write KEYWORD=value, or quote the value.",
    ),
    "ANR2004E": Row(
        "Keyword {keyword} in column {column} has no value.",
        "KEYWORD=value is written without blanks.",
        'Add the value; "" is the empty one.',
    ),
    "ANR2008E": Row("{command} is ambiguous: it may be {candidates}.", "", "Type more letters."),
    "ANR2009E": Row(
        "{command}: keyword {keyword} is ambiguous: it may be {candidates}.", "", "Type more letters."
    ),
    "ANR2010E": Row(
        "Text follows the closing quote {quote} in column {column}.",
        "A quoted value ends at a blank or a comma.",
        "Add a blank, or double the quote where it belongs to the value.",
    ),
    "ANR2017I": Row("Administrator {administrator} issued command: {command}"),
    "ANR2020E": Row(
        "{command}: {value} is not a value of {parameter}. It takes {right}.", "", "Correct the value."
    ),
    "ANR2021E": Row(
        "{command}: there is no keyword {keyword}. It has: {known}.",
        "Capitals are the shortest form.",
        "Correct the keyword, or quote a value that holds =.",
    ),
    "ANR2022E": Row("{command}: {parameter} is missing ({syntax}).", "", "Add it; HELP {command} shows all."),
    "ANR2023E": Row(
        "{command}: {value} is one value too many. The form is: {syntax}",
        "",
        "Leave it out; quote a value that holds blanks.",
    ),
    "ANR2024E": Row("{command}: {keyword} is given twice.", "", "Leave one out."),
    "ANR2025E": Row(
        "{command}: the value in column {column} has no keyword.",
        "Values without a keyword stand before the first keyword.",
        "Move it to the front; quote a value that holds blanks.",
    ),
    "ANR2026E": Row("{command}: nothing to change was given.", "", "Give at least one attribute."),
    "ANR2027E": Row(
        "{command}: {keyword} does not belong to a {noun} of kind {variant}.", "", "Leave it out."
    ),
    "ANR2028E": Row(
        "The command closes with - or \\, which says that it goes on, and no further line follows.",
        "",
        "Write the rest. A value that ends so stands in quotes.",
    ),
    "ANR2034E": Row("{command}: No match found using this criteria.", "", "Check the names and filters."),
    # rights
    "ANR2035E": Row(
        "Administrator {administrator} is not authorized to issue {command}. It needs: {needs}.",
        "",
        "Ask a system administrator: GRANT AUTHORITY.",
    ),
    "ANR2036E": Row(
        "Administrator {administrator} is not registered any more, or locked.",
        "",
        "Ask a system administrator.",
    ),
    # administrators
    "ANR2068I": Row("Administrator {administrator} registered."),
    "ANR2069I": Row("Administrator {administrator} removed."),
    "ANR2070I": Row("Administrator {administrator} renamed to {new_name}."),
    "ANR2071I": Row("Administrator {administrator} updated."),
    "ANR2072I": Row("Administrator {administrator} locked."),
    "ANR2073I": Row("Administrator {administrator} unlocked."),
    "ANR2076I": Row("System privilege granted to administrator {administrator}."),
    "ANR2077I": Row("Unrestricted {privilege} privilege granted to administrator {administrator}."),
    "ANR2078I": Row("Restricted {privilege} privilege over {name} granted to administrator {administrator}."),
    "ANR2084I": Row("{privilege} privilege revoked from administrator {administrator}."),
    "ANR2085I": Row(
        "Restricted {privilege} privilege over {name} revoked from administrator {administrator}."
    ),
    "ANR2100E": Row("The name {administrator} belongs to the server's console.", "", "Choose another name."),
    "ANR2101E": Row(
        "Administrator {administrator} cannot lock himself.",
        "Nobody might be left to unlock him.",
        "Let another one do it.",
    ),
    "ANR2102E": Row(
        "Administrator {administrator} has a session open.",
        "",
        "CANCEL SESSION, then try again; for your own name at the server's console.",
    ),
    "ANR2103E": Row(
        "Administrator {administrator} is the last one who can sign on with system privilege.",
        "Without one the server could not be administered over the network.",
        "Grant system privilege to another one first.",
    ),
    "ANR2104E": Row(
        "Administrator {administrator} has unrestricted {privilege} privilege already.",
        "A restricted one beside it would mean nothing.",
        "REVOKE AUTHORITY first.",
    ),
    "ANR2105E": Row(
        "Administrator {administrator} holds nothing of this.", "", "QUERY ADMIN FORMAT=DETAILED shows it."
    ),
    "ANR2106E": Row("The end of the period is before its beginning.", "", "Correct the dates or times."),
    # settings of the server
    "ANR2093W": Row(
        "The server's name becomes {name}. Other servers know it by the old one, and it may be its node name at targets."
    ),
    "ANR2094I": Row("Server name set to {name}."),
    "ANR2095W": Row(
        "The node name at {targets} is the server's name and thus {name} now: rename the node there too."
    ),
    "ANR2131I": Row("Server password set."),
    "ANR2132I": Row("Server high-level address set to {address}."),
    "ANR2133I": Row("Server low-level address set to {port}."),
    "ANR2134I": Row("Crossdefine set to {state}."),
    "ANR2235W": Row("HALT stops the server: sessions are cut, processes are cancelled."),
    "ANR2552I": Row("New {kind} sessions are enabled."),
    "ANR2553I": Row("New {kind} sessions are disabled."),
    "ANR0490I": Row("Session {number} ({name}) is being cancelled."),
    "ANR0495E": Row("Session {number} is your own.", "", "Leave it with QUIT."),
    "ANR0940I": Row("Process {number} ({description}) is asked to stop at its next safe point."),
    # server definitions
    "ANR1660I": Row("Server {server} defined."),
    "ANR1661I": Row("Server {server} deleted."),
    "ANR1662I": Row("Server {server} updated."),
    "ANR1665E": Row(
        "{keyword} belongs to the virtual-volume form of a server definition.",
        "That form is chosen by PASSWORD, the password of our node at the target.",
        "Give PASSWORD as well, or leave it out.",
    ),
    "ANR1667I": Row("Server {server} defined as a target of virtual volumes; our node there is {node}."),
    "ANR1668E": Row(
        "{server} is this server itself.",
        "A server cannot be its own target: one fire would take both copies.",
        "Name another server; server names are unique in a network.",
    ),
    "ANR1669E": Row(
        "Address {address} is this server itself.",
        "A server cannot be its own target: one fire would take both copies.",
        "Give the address of another server.",
    ),
    "ANR1670W": Row(
        "Device classes {classes} use server {server}: if the new values lead elsewhere, their volumes cannot be read."
    ),
    "ANR1671I": Row("The verification code will be registered anew at the next sign-on to server {server}."),
    "ANR1672E": Row(
        "Server {server} is named by device classes {classes}.",
        "",
        "Delete them first, with their pools and volumes.",
    ),
    "ANR1673E": Row(
        "Server {server} is not defined for virtual volumes.",
        "Its definition has no PASSWORD, so we have no node there.",
        "UPDATE SERVER {server} PASSWORD=...",
    ),
    "ANR1705W": Row("Ping of server {server} failed: {reason}"),
    "ANR1706I": Row("Ping of server {server} succeeded. Fingerprint {fingerprint}."),
    "ANR1707I": Row("Ping of server {server} succeeded: signed on as node {node}, session is {mode}."),
    # policy
    "ANR1500I": Row("Policy domain {domain} defined."),
    "ANR1501I": Row("Policy domain {domain} deleted."),
    "ANR1502I": Row("Policy domain {domain} updated."),
    "ANR1503I": Row("Policy domain {domain} copied to {new_name}; activate a policy set in it."),
    "ANR1504W": Row("Policy domain {domain} will be deleted with all its policy sets."),
    "ANR1510I": Row("Policy set {policy_set} defined in domain {domain}."),
    "ANR1511I": Row("Policy set {policy_set} of domain {domain} deleted."),
    "ANR1512I": Row("Policy set {policy_set} of domain {domain} updated."),
    "ANR1513I": Row("Policy set {policy_set} of domain {domain} copied to {new_name}."),
    "ANR1514I": Row("Policy set {policy_set} activated in domain {domain}."),
    "ANR1515I": Row("Policy set {policy_set} of domain {domain} is valid."),
    "ANR1516W": Row("Policy set {policy_set} replaces what is ACTIVE in domain {domain}."),
    "ANR1517W": Row(
        "Policy set {policy_set} of domain {domain} will be deleted with its classes and copy groups."
    ),
    "ANR1520I": Row("Management class {management_class} defined in set {policy_set}, domain {domain}."),
    "ANR1521I": Row("Management class {management_class} of set {policy_set}, domain {domain}, deleted."),
    "ANR1522I": Row("Management class {management_class} of set {policy_set}, domain {domain}, updated."),
    "ANR1523I": Row(
        "Management class {management_class} of set {policy_set}, domain {domain}, copied to {new_name}."
    ),
    "ANR1524W": Row(
        "Management class {management_class} of set {policy_set}, domain {domain}, will be deleted with its copy groups."
    ),
    "ANR1530I": Row(
        "The {kind} copy group of class {management_class}, set {policy_set}, domain {domain}, is defined."
    ),
    "ANR1531I": Row(
        "The {kind} copy group of class {management_class}, set {policy_set}, domain {domain}, is deleted."
    ),
    "ANR1532I": Row(
        "The {kind} copy group of class {management_class}, set {policy_set}, domain {domain}, is updated."
    ),
    "ANR1538I": Row(
        "{management_class} is the default class of policy set {policy_set}, domain {domain}, now."
    ),
    "ANR1562W": Row("Storage pool {pool} is not defined yet: nothing can be stored there."),
    "ANR4973E": Row("There is no message {number}.", "", "Type it as it was shown: ANR2034E."),
    "ANR1570E": Row(
        "The policy set ACTIVE cannot be changed.",
        "It is the copy of the set that was activated last.",
        "Change that set and ACTIVATE POLICYSET again.",
    ),
    "ANR1571E": Row("{name} is a reserved name for a class.", "", "Choose another name."),
    "ANR1572E": Row(
        "Policy domain {domain} has {number} registered nodes.",
        "",
        "Move them with UPDATE NODE DOMAIN=, or remove them.",
    ),
    "ANR1573E": Row(
        "Policy set {policy_set} of domain {domain} is not valid.", "", "Correct what is listed."
    ),
    "ANR1574E": Row(
        "Policy set {policy_set} of domain {domain} is not activated.",
        "What is ACTIVE stays as it was.",
        "Correct what is listed.",
    ),
    "ANR1575E": Row(
        "Storage pool {pool} is a copy pool.",
        "Clients store into primary pools only.",
        "Name a primary pool.",
    ),
    "ANR1576E": Row(
        "{management_class} is the default class of set {policy_set}, domain {domain}.",
        "",
        "ASSIGN DEFMGMTCLASS another one first.",
    ),
    "ANR1577E": Row(
        "MODE={mode} is not for archive copy groups.", "They are always ABSOLUTE.", "Leave it out."
    ),
    # what comes later
    "ANR2990E": Row(
        "{command} is understood, but this version of the server does not do it yet.",
        "Nothing was changed.",
        "It comes in a later version; CHANGELOG.md says when.",
    ),
    "ANR2991E": Row(
        "{command}: {parameter}={value} is understood, but this version of the server can do only {only}.",
        "Nothing was changed.",
        "Leave it out.",
    ),
    "ANR2992E": Row(
        "{servers} routes a command to other servers, which this version does not do yet.",
        "Nothing was done.",
        "Sign on to the other server.",
    ),
    "ANR2994W": Row("{keywords} of {noun} {name} is kept, but has no effect: {reason}."),
}
