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
    epoch INTEGER NOT NULL,                      -- epoch of the catalog that wrote it
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- The newest series, the volumes of one operation.
CREATE INDEX volume_history_by_series ON volume_history (type, series, operation, sequence);
-- Is a name taken?
CREATE INDEX volume_history_by_volume ON volume_history (volume);

-- When a database backup starts by itself: DEFINE DBBACKUPTRIGGER. One row at most.
CREATE TABLE database_backup_trigger (
    id INTEGER PRIMARY KEY,                      -- number
    device_class TEXT NOT NULL,                  -- of full backups
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
