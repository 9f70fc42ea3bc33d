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
