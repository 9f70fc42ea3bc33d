-- Expiration, events and holds.
--
-- From here on `objects.state` knows 4 as well, expired: more versions than policy keeps. Nobody is shown such a
-- version; EXPIRE INVENTORY removes it. It never becomes anything else. Its row digest covers no extents.

-- When the event came that starts the retention of an archive copy (RETINIT=EVENT): SIGNAL OBJECT.
CREATE TABLE retention_events (
    object_id INTEGER PRIMARY KEY,               -- the archive copy; the row goes with it
    event_time INTEGER NOT NULL,                 -- when the event was
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- How far expiration has come in each file space. A file space without a row was never gone through.
CREATE TABLE expirations (
    file_space_id INTEGER PRIMARY KEY REFERENCES file_spaces (id) ON DELETE CASCADE, -- the file space
    completed_time INTEGER NOT NULL,             -- when it was last gone through as a whole; 0 = never. Those that waited
                                                 -- longest come first
    directory_id INTEGER NOT NULL,               -- where a run stopped early: directory of the last object looked at;
    name BLOB NOT NULL,                          -- its name
    object_id INTEGER NOT NULL                   -- its number; -1 = no run was stopped
);

-- Reasons to keep objects whatever policy says: DEFINE HOLD.
CREATE TABLE holds (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- name of the hold
    reason TEXT NOT NULL,                        -- why, in somebody's words
    defined_time INTEGER NOT NULL,               -- when
    defined_by TEXT NOT NULL,                    -- by whom
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- What a hold holds: of the rules of one hold that match an object, the last one decides. An object is held while any
-- hold holds it. Rules are looked at when something is about to go; no row of any object is touched.
CREATE TABLE hold_rules (
    id INTEGER PRIMARY KEY,                      -- number; later rules have larger ones
    hold_id INTEGER NOT NULL REFERENCES holds (id) ON DELETE CASCADE, -- its hold
    node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE, -- whose objects
    file_space_id INTEGER REFERENCES file_spaces (id) ON DELETE CASCADE, -- in which file space; NULL = in all, later ones too
    pattern TEXT NOT NULL,                       -- which paths within the file space: * any run of characters, ? any one
    kind INTEGER NOT NULL,                       -- 1 backup versions, 2 archive copies, 0 both
    from_time INTEGER,                           -- only what was stored from then on; NULL = ever
    to_time INTEGER,                             -- only what was stored until then; NULL = also what comes later
    holds INTEGER NOT NULL,                      -- 1 = HOLD OBJECT, 0 = RELEASE OBJECT
    created_time INTEGER NOT NULL,               -- when
    created_by TEXT NOT NULL,                    -- by whom
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- The rules that matter for one node.
CREATE INDEX hold_rules_by_node ON hold_rules (node_id);
