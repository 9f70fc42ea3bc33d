-- Protection of the server itself: volume history, database backups, recovery plans, drills.

-- Volumes outside of pools (database backups, exports, plan files) and what happened to sequential pool volumes: one row
-- a volume and event. A volume outside of pools lives as long as its row. Rows of one operation share time, type, series
-- and operation. A row is there before its media, with `complete` 0; the operation completes all its rows at once.
CREATE TABLE volume_history (
    id INTEGER PRIMARY KEY,                      -- number
    time INTEGER NOT NULL,                       -- when the operation began, or the event was
    type TEXT NOT NULL,                          -- BACKUPFULL, BACKUPINCR, DBSNAPSHOT, EXPORT, RPFILE, RPFSNAPSHOT,
                                                 -- STGNEW, STGREUSE, STGDELETE
    series INTEGER NOT NULL,                     -- running number: a full backup and its incremental ones share it,
                                                 -- snapshots, exports and plan files have numbers of their own; 0 = none
    operation INTEGER NOT NULL,                  -- within the series: 0 full, 1, 2, 3 incremental
    sequence INTEGER NOT NULL,                   -- place of the volume within its operation, from 1; 0 = none
    device_class TEXT NOT NULL,                  -- how the volume is reached
    volume TEXT NOT NULL,                        -- its name
    location TEXT NOT NULL,                      -- where it is kept, in somebody's words
    command TEXT NOT NULL,                       -- what made it: of exports
    scratch INTEGER NOT NULL,                    -- 1 = the operation made its name, 0 = an administrator did
    complete INTEGER NOT NULL,                   -- 0 = being written, or left behind by an operation that did not end
    records INTEGER NOT NULL,                    -- records on it, without label and end
    stored_bytes INTEGER NOT NULL,               -- its length, with label and end
    end_bytes INTEGER NOT NULL,                  -- length of its last record, the end, which lists all others
    digest BLOB NOT NULL,                        -- address of that record; empty = none
    receipt BLOB NOT NULL,                       -- its target's receipts, joined; empty = not at a target, or not known
    contents BLOB NOT NULL,                      -- digest over all its records as a target that keeps it has it; empty =
                                                 -- not known
    epoch INTEGER NOT NULL,                      -- epoch of the catalog that wrote it
    verified_time INTEGER NOT NULL,              -- when VALIDATE VOLUME last found its target to stand by it; 0 = never
    missed_time INTEGER NOT NULL,                -- since when its target is known not to have it as it signed; 0 = it is
                                                 -- not known
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- Source side: questions about records of these volumes at a target, as `probes` keeps them for volumes of pools. A table of
-- its own, so that questions go with their entry as those go with their volume: a row cannot refer to the one or the other.
CREATE TABLE history_probes (
    history_id INTEGER NOT NULL REFERENCES volume_history (id) ON DELETE CASCADE, -- the volume
    offset_bytes INTEGER NOT NULL,               -- where the record starts in the volume
    stored_bytes INTEGER NOT NULL,               -- length of the record
    start_bytes INTEGER NOT NULL,                -- where the range starts in the record
    size_bytes INTEGER NOT NULL,                 -- length of the range
    nonce BLOB NOT NULL,                         -- 32 random bytes, the key of the answer
    answer BLOB NOT NULL,                        -- BLAKE3 of the range, keyed by the nonce
    row_digest BLOB NOT NULL,                    -- over all columns above
    PRIMARY KEY (history_id, offset_bytes)
) WITHOUT ROWID;
-- The newest series, the volumes of one operation.
CREATE INDEX volume_history_by_series ON volume_history (type, series, operation, sequence);
-- Is a name taken?
CREATE INDEX volume_history_by_volume ON volume_history (volume);

-- When a database backup starts by itself: DEFINE DBBACKUPTRIGGER. One row at most.
CREATE TABLE database_backup_trigger (
    id INTEGER PRIMARY KEY,                      -- number
    device_class TEXT NOT NULL,                  -- of full backups; empty = that of SET DBRECOVERY
    log_full_percent INTEGER NOT NULL,           -- starts when more of the recovery log's capacity is used
    incremental_device_class TEXT NOT NULL,      -- of incremental backups; empty = the same
    incrementals INTEGER NOT NULL,               -- how many may follow a full one; 0 = always full
    minimum_interval_minutes INTEGER NOT NULL,   -- least time since the last backup; 0 = none
    minimum_log_free_percent INTEGER NOT NULL,   -- starts only where it would free so much of the log; 0 = always
    maximum_age_hours INTEGER NOT NULL,          -- starts when the last backup is older, in every LOGMODE; 0 = never
    updated_time INTEGER NOT NULL,               -- when it was defined or updated last
    updated_by TEXT NOT NULL,                    -- by whom
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Where movable volumes are (DRMEDIA): volumes of copy pools and of database backups that leave this site. A volume
-- without a row is MOUNTABLE.
CREATE TABLE offsite_media (
    volume TEXT PRIMARY KEY,                     -- its name
    state TEXT NOT NULL,                         -- NOTMOUNTABLE, COURIER, VAULT, VAULTRETRIEVE, COURIERRETRIEVE
    location TEXT NOT NULL,                      -- in somebody's words; empty = the one that SET DRM... gives the state
    updated_time INTEGER NOT NULL,               -- when its state changed last
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Drills: evidence that the server can be restored from what its partner keeps. One row a drill.
CREATE TABLE drills (
    id INTEGER PRIMARY KEY,                      -- number
    started_time INTEGER NOT NULL,               -- when it began
    ended_time INTEGER NOT NULL,                 -- when it ended
    result TEXT NOT NULL,                        -- SUCCESS; FAILED: what it tried cannot be restored
    series INTEGER NOT NULL,                     -- database backup it restored; 0 = it found none
    operation INTEGER NOT NULL,                  -- within the series
    device_class TEXT NOT NULL,                  -- of that backup
    backup_time INTEGER NOT NULL,                -- when that backup began: the state a recovery would bring back
    database_bytes INTEGER NOT NULL,             -- length of the restored database
    database_ms INTEGER NOT NULL,                -- how long restoring it took, milliseconds
    objects INTEGER NOT NULL,                    -- objects of the sample
    object_bytes INTEGER NOT NULL,               -- their bytes
    object_ms INTEGER NOT NULL,                  -- how long reading them took, milliseconds
    bad_objects INTEGER NOT NULL,                -- of these could not be read, or were not what was stored
    total_bytes INTEGER NOT NULL,                -- all that a recovery would have to move: basis of the estimate
    rpo_seconds INTEGER NOT NULL,                -- age of the state that a recovery would bring back
    rto_seconds INTEGER NOT NULL,                -- until clients could restore: measured, database and sign-on
    note TEXT NOT NULL,                          -- what failed first; empty = nothing
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Transactions that clients have committed: a client that lost the answer asks by the id and gets it again instead of
-- storing everything twice. Kept for a day, at most some thousand of a node. No row protects data: none has a digest.
CREATE TABLE client_transactions (
    node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE, -- whose
    number INTEGER NOT NULL,                     -- grows from 1 with each of the node's
    transaction_id BLOB NOT NULL,                -- 16 random bytes by which the client names it
    committed_time INTEGER NOT NULL,             -- when
    objects INTEGER NOT NULL,                    -- its answer: versions stored
    expired INTEGER NOT NULL,                    -- versions that became inactive because their file is gone
    updated INTEGER NOT NULL,                    -- versions with new attributes
    new_extents INTEGER NOT NULL,                -- extents the pool did not have
    stored_bytes INTEGER NOT NULL,               -- bytes of its records on volumes
    rebound INTEGER NOT NULL,                    -- versions bound to another class
    PRIMARY KEY (node_id, number)
) WITHOUT ROWID;
-- Has it been committed? Never twice.
CREATE UNIQUE INDEX client_transactions_by_id ON client_transactions (node_id, transaction_id);
