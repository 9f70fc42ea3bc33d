-- Trust between a source and its target: approvals, receipts at the source, deletions still to be told, challenges.

-- Target side: what a source may do here, and where trust in it stands. A node without a row has the defaults.
CREATE TABLE vault_rules (
    id INTEGER PRIMARY KEY,                      -- number
    node_id INTEGER NOT NULL UNIQUE REFERENCES nodes (id) ON DELETE CASCADE, -- the source
    force_sync TEXT NOT NULL,                    -- ALLOW: a new code from the known identity is taken at once; APPROVE: it waits
    read_only_sessions INTEGER NOT NULL,         -- 1 = who does not prove the code may read; 0 = is not let in
    min_retention_days INTEGER NOT NULL,         -- vault lock: days since receipt before anything goes
    min_grace_days INTEGER NOT NULL,             -- vault lock: least days between mark and removal
    mass_delete_percent INTEGER NOT NULL,        -- more of its volumes marked in an hour stop further marks; 0 = no such limit
    mass_delete_count INTEGER NOT NULL,          -- the same as a number of volumes; 0 = no such limit
    max_vault_bytes INTEGER,                     -- most bytes its volumes may have; NULL = no limit
    max_vault_volumes INTEGER,                   -- most volumes; NULL = no limit
    epoch INTEGER,                               -- the source's epoch that is believed; NULL = none was told yet
    reconcile_since_time INTEGER NOT NULL,       -- the epoch moved then: no deletions until a reconcile is believed; 0 = fine
    pending_code_key BLOB NOT NULL,              -- FORCESYNC that waits for approval: public half of the new code; empty = none
    pending_identity BLOB NOT NULL,              -- the identity key that came with it
    pending_time INTEGER NOT NULL,               -- when it came
    pending_address TEXT NOT NULL,               -- where from
    asleep_time INTEGER NOT NULL,                -- another identity was accepted then: deletions sleep; 0 = never
    asleep_running INTEGER NOT NULL,             -- clock_guard.running_seconds at that moment
    asleep_days INTEGER NOT NULL,                -- for so long
    mass_stopped_time INTEGER NOT NULL,          -- too much was deleted: no marks until APPROVE DELETION; 0 = fine
    mass_allowed_running INTEGER NOT NULL,       -- approved: marks are not counted until running_seconds are so many
    refused_changes INTEGER NOT NULL,            -- changes that read-only sessions were refused, ever
    last_refused_time INTEGER NOT NULL,          -- the last of them; 0 = never
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Target side: what a lowered vault lock still promises. Volumes received before it was lowered keep what they had.
CREATE TABLE vault_floors (
    id INTEGER PRIMARY KEY,                      -- number
    node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE, -- the source
    received_running INTEGER NOT NULL,           -- for segments whose received_running is at most this
    min_retention_days INTEGER NOT NULL,         -- as vault_rules had it
    min_grace_days INTEGER NOT NULL,             -- as vault_rules had it
    row_digest BLOB NOT NULL,                    -- over all columns above
    UNIQUE (node_id, received_running)
);

-- Target side, one row: how far this server's clock may be believed when something is about to be removed.
CREATE TABLE clock_guard (
    id INTEGER PRIMARY KEY,                      -- always 1
    wall_seconds INTEGER NOT NULL,               -- what the clock showed at the last look
    running_seconds INTEGER NOT NULL,            -- how long the server has run in all, at the last look; never less
    frozen_time INTEGER NOT NULL,                -- the clock jumped forward then: nothing is removed until CONFIRM CLOCK; 0 = fine
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Source side: virtual volumes that are gone here and whose target does not know it yet.
CREATE TABLE pending_deletions (
    id INTEGER PRIMARY KEY,                      -- number
    server_name TEXT NOT NULL,                   -- the target, by the name of its definition
    device_class TEXT NOT NULL,                  -- name of the class the volume belonged to
    volume TEXT NOT NULL,                        -- name of the volume here
    since_time INTEGER NOT NULL,                 -- when it was deleted here
    tries INTEGER NOT NULL,                      -- how often the target was told in vain
    last_try_time INTEGER NOT NULL,              -- the last of them; 0 = not tried yet
    last_error TEXT NOT NULL,                    -- why it did not work; '' = not tried yet
    row_digest BLOB NOT NULL,                    -- over all columns above
    UNIQUE (device_class, volume)
);
-- What waits for one target.
CREATE INDEX pending_deletions_by_server ON pending_deletions (server_name);
