-- Trust between a source and its target: approvals, receipts at the source, deletions still to be told, challenges.

-- Source side: what the target has signed for each segment of a virtual volume, as long as the volume exists.
CREATE TABLE volume_receipts (
    volume_id INTEGER NOT NULL REFERENCES volumes (id) ON DELETE CASCADE, -- the volume
    offset_bytes INTEGER NOT NULL,               -- where the segment starts in the volume. Those that start below
                                                 -- the volume's written_bytes cover it without a gap
    stored_bytes INTEGER NOT NULL,               -- its length
    records INTEGER NOT NULL,                    -- how many records it has
    digest BLOB NOT NULL,                        -- BLAKE3 over its record digests in order
    epoch INTEGER NOT NULL,                      -- our epoch when it was closed
    server_id INTEGER NOT NULL,                  -- number of the server definition of the target that signed
    number INTEGER NOT NULL,                     -- the receipt's running number there
    receipt BLOB NOT NULL,                       -- the signed receipt (msgpack), as it came
    verified_time INTEGER NOT NULL,              -- when VALIDATE VOLUME last found the target to stand by it; 0 = never
    row_digest BLOB NOT NULL,                    -- over all columns above
    PRIMARY KEY (volume_id, offset_bytes)
) WITHOUT ROWID;

-- Source side: questions about records at a target whose answers were computed while their bytes were here. Each is
-- asked once and then deleted. The target never sees one before it is asked.
CREATE TABLE probes (
    volume_id INTEGER NOT NULL REFERENCES volumes (id) ON DELETE CASCADE, -- the volume
    offset_bytes INTEGER NOT NULL,               -- where the record starts in the volume
    stored_bytes INTEGER NOT NULL,               -- length of the record
    start_bytes INTEGER NOT NULL,                -- where the range starts in the record
    size_bytes INTEGER NOT NULL,                 -- length of the range
    nonce BLOB NOT NULL,                         -- 32 random bytes, the key of the answer
    answer BLOB NOT NULL,                        -- BLAKE3 of the range, keyed by the nonce
    row_digest BLOB NOT NULL,                    -- over all columns above
    PRIMARY KEY (volume_id, offset_bytes)
) WITHOUT ROWID;

-- Source side: what we know of the honesty of each target. A server without a row has given no receipt yet.
CREATE TABLE target_truth (
    server_id INTEGER PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE, -- the server definition
    receipt_number INTEGER NOT NULL,             -- number of the newest receipt we hold or have accepted; 0 = none
    receipt_digest BLOB NOT NULL,                -- BLAKE3 of that receipt; empty = none
    told_number INTEGER NOT NULL,                -- what the target called its newest receipt at the last sign-on
    set_back_time INTEGER NOT NULL,              -- when it was found to be in an older state than its receipts say; 0 = it is not
    challenge_time INTEGER NOT NULL,             -- when it was last challenged; 0 = never
    challenges INTEGER NOT NULL,                 -- challenges answered or missed, ever
    missed INTEGER NOT NULL,                     -- those of them that were missed
    missed_time INTEGER NOT NULL,                -- when one was last missed; 0 = never
    identity BLOB NOT NULL,                      -- its identity key at the last sign-on; empty = it was never reached
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Source side: how the last RECONCILE VOLUMES of everything at a target ended, and the last one of some classes only.
CREATE TABLE reconciliations (
    server_id INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE, -- the target
    whole INTEGER NOT NULL,                      -- 1 = all its device classes were compared
    ended_time INTEGER NOT NULL,                 -- when it ended
    fix INTEGER NOT NULL,                        -- 1 = FIX=YES
    here INTEGER NOT NULL,                       -- volumes here
    there INTEGER NOT NULL,                      -- files there, one for each volume
    same INTEGER NOT NULL,                       -- volumes that agree
    differing INTEGER NOT NULL,                  -- pairs that differ and were reported
    fixed INTEGER NOT NULL,                      -- pairs something was done about
    left_open INTEGER NOT NULL,                  -- differences that were left
    in_use INTEGER NOT NULL,                     -- volumes that could not be compared
    trusted INTEGER NOT NULL,                    -- 1 = the target has taken note that nothing of ours is missing
    PRIMARY KEY (server_id, whole)
) WITHOUT ROWID;

-- Source side: differences the last RECONCILE VOLUMES found, one row for each virtual volume that differs.
CREATE TABLE reconcile_findings (
    server_id INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE, -- the target
    volume TEXT NOT NULL,                        -- its name at the target, with the prefix
    kind TEXT NOT NULL,                          -- POOL, HISTORY; '' = unknown here
    finding TEXT NOT NULL,                       -- what differs, see policy/reconcile.py
    differs TEXT NOT NULL,                       -- attributes that differ, comma separated
    here_bytes INTEGER NOT NULL,                 -- length here; 0 = no volume
    there_bytes INTEGER NOT NULL,                -- length at the target; 0 = no file
    receipts TEXT NOT NULL,                      -- numbers of the receipts that prove what was there, as 3-7,9
    actions TEXT NOT NULL,                       -- what was done and is recommended, comma separated
    found_time INTEGER NOT NULL,                 -- when
    PRIMARY KEY (server_id, volume)
) WITHOUT ROWID;

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
    own_data_time INTEGER NOT NULL,              -- when it last brought what this server itself had sealed; 0 = never
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
-- Does a name still wait?
CREATE INDEX pending_deletions_by_volume ON pending_deletions (volume);
