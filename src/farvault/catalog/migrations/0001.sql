-- Everything the first release keeps.
--
-- Reading rules for all tables. Times are whole seconds since 1970 UTC; a time that never came is NULL, or 0 where
-- that is said. Sizes and offsets are bytes. Booleans are 0 and 1. Names compare as they are (keyboards fold them
-- before). `id` numbers come from the table `sequences` and are never given twice. `row_digest` is the keyed
-- 8-byte BLAKE2b of the table's name and the row's values (catalog/row_digest.py), checked by AUDIT CATALOG.
-- WITHOUT ROWID only says that a table is clustered by its primary key; other engines leave it out.

-- Schema steps that were applied to this database.
CREATE TABLE migrations (
    number INTEGER PRIMARY KEY,                  -- number of the step: 1, 2, 3 without a gap
    name TEXT NOT NULL,                          -- file name of the step
    applied_time INTEGER NOT NULL                -- when
);

-- One row: proves on opening that the right key for row digests was given.
CREATE TABLE row_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),       -- always 1
    key_check BLOB NOT NULL                      -- keyed digest of a fixed text; says nothing about the key
);

-- Where each running number stands.
CREATE TABLE sequences (
    name TEXT PRIMARY KEY,                       -- what is numbered; for a table with numbers, its name
    next_value INTEGER NOT NULL                  -- the number given next; all smaller ones are taken for ever
) WITHOUT ROWID;
INSERT INTO sequences VALUES ('activity_log', 1);

-- Single values of the server as a whole.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,                       -- SERVERNAME, SERVERPASSWORD, EPOCH, ...
    value TEXT NOT NULL                          -- as text; secrets are sealed by the keyring and then hexadecimal
) WITHOUT ROWID;

-- Every line the server said, for QUERY ACTLOG.
CREATE TABLE activity_log (
    id INTEGER PRIMARY KEY,                      -- order in which the lines were said
    time_seconds INTEGER NOT NULL,               -- when
    message_id TEXT NOT NULL,                    -- ANR2034E
    message_number INTEGER NOT NULL,             -- 2034; 0 where the id has no number
    text TEXT NOT NULL,                          -- the filled-in text, without the id
    session INTEGER NOT NULL,                    -- number of the session that caused it; 0 = none
    process INTEGER NOT NULL,                    -- number of the process that caused it; 0 = none
    node TEXT NOT NULL                           -- node it is about; '' = none
);
-- Ranges of time, and the oldest lines for pruning.
CREATE INDEX activity_log_by_time ON activity_log (time_seconds);

-- Other servers we talk to: DEFINE SERVER.
CREATE TABLE servers (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- name of the other server
    communication_method TEXT NOT NULL,          -- TCPIP
    high_level_address TEXT NOT NULL,            -- host name or address
    low_level_address INTEGER NOT NULL,          -- port, 1-65535
    description TEXT NOT NULL,                   -- free text
    url TEXT NOT NULL,                           -- address of its web pages; '' = none
    sealed_server_password BLOB NOT NULL,        -- password for general use, sealed by the keyring; empty = not set
    sealed_node_password BLOB NOT NULL,          -- password of our node there, sealed; empty = not a target of virtual volumes
    node_name TEXT NOT NULL,                     -- our node name there; '' = our server name
    delete_grace_days INTEGER NOT NULL,          -- days a deleted virtual volume stays there
    validate_protocol TEXT NOT NULL,             -- NO, ALL; accepted only
    allow_replace INTEGER NOT NULL,              -- may a configuration manager replace this definition
    fingerprint TEXT NOT NULL,                   -- pinned SHA-256 of its certificate; '' = not seen yet
    sealed_verification_code BLOB NOT NULL,      -- the code proved at each sign-on, sealed; empty = none yet
    force_sync INTEGER NOT NULL,                 -- 1 = register the code anew at the next sign-on
    defined_time INTEGER NOT NULL,               -- when it was defined
    last_access_time INTEGER NOT NULL,           -- our last sign-on there; 0 = never
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Clients of this server, and sources that keep virtual volumes here: REGISTER NODE.
CREATE TABLE nodes (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- node name
    platform TEXT NOT NULL,                      -- as the client told at its last sign-on
    domain TEXT NOT NULL,                        -- name of its policy domain
    last_access_time INTEGER NOT NULL,           -- last sign-on; 0 = never
    password_set_time INTEGER NOT NULL,          -- when the password was set
    locked INTEGER NOT NULL,                     -- 1 = cannot sign on
    contact TEXT NOT NULL,                       -- who looks after it
    compression TEXT NOT NULL,                   -- CLIENT, YES, NO
    archive_delete INTEGER NOT NULL,             -- may it delete its archive copies
    backup_delete INTEGER NOT NULL,              -- may it delete its backup copies
    type TEXT NOT NULL,                          -- CLIENT, SERVER
    url TEXT NOT NULL,                           -- address of its web pages
    email TEXT NOT NULL,                         -- whom to write to
    keep_mount_point INTEGER NOT NULL,           -- keep mount points for the whole session
    max_mount_points INTEGER NOT NULL,           -- mount points it may use at once
    validate_protocol TEXT NOT NULL,             -- NO, DATAONLY, ALL; accepted only
    transaction_group_max INTEGER NOT NULL,      -- objects in one transaction; 0 = the server's value
    password_verifier TEXT NOT NULL,             -- SCRAM verifier: salt, iterations, stored key, server key
    verification_public_key BLOB NOT NULL,       -- public half of the registered verification code; empty = none
    identity_public_key BLOB NOT NULL,           -- identity key of the source that registered the code; empty = none
    registered_time INTEGER NOT NULL,            -- when it was registered
    registering_administrator TEXT NOT NULL,     -- by whom
    total_bytes_received INTEGER NOT NULL,       -- from this node, ever
    total_bytes_sent INTEGER NOT NULL,           -- to this node, ever
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- Who uses a domain, before it is deleted.
CREATE INDEX nodes_by_domain ON nodes (domain);

-- Who may give commands: REGISTER ADMIN, GRANT AUTHORITY.
CREATE TABLE administrators (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- administrator name
    last_access_time INTEGER NOT NULL,           -- last sign-on; 0 = never
    password_set_time INTEGER NOT NULL,          -- when the password was set
    locked INTEGER NOT NULL,                     -- 1 = cannot sign on
    classes TEXT NOT NULL,                       -- unrestricted privilege classes, comma separated
    policy_domains TEXT NOT NULL,                -- domains of restricted policy authority, comma separated
    storage_pools TEXT NOT NULL,                 -- pools of restricted storage authority, comma separated
    contact TEXT NOT NULL,                       -- how to reach the person
    email TEXT NOT NULL,                         -- whom to write to
    password_verifier TEXT NOT NULL,             -- SCRAM verifier, as for nodes
    registered_time INTEGER NOT NULL,            -- when registered
    registering_administrator TEXT NOT NULL,     -- by whom
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- How the volumes of a pool are reached: DEFINE DEVCLASS.
CREATE TABLE device_classes (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- class name
    device_type TEXT NOT NULL,                   -- DISK, FILE, SERVER
    server_name TEXT NOT NULL,                   -- SERVER: name of the target; else ''
    directory TEXT NOT NULL,                     -- FILE: folder of the volume files; '' = the instance's own
    max_capacity_bytes INTEGER NOT NULL,         -- largest size of one volume; 0 where it does not apply
    mount_limit INTEGER NOT NULL,                -- volumes (SERVER: sessions) open at once
    mount_retention_minutes INTEGER NOT NULL,    -- SERVER: how long an idle session is kept
    prefix TEXT NOT NULL,                        -- SERVER: first part of archive file names at the target
    retry_period_minutes INTEGER NOT NULL,       -- SERVER: how long an unreachable target is tried; 0 = not at all
    retry_interval_seconds INTEGER NOT NULL,     -- SERVER: pause between two tries
    bandwidth TEXT NOT NULL,                     -- FILE, SERVER: bytes a second, `10M,08:00-18:00=1M`; '' = no limit
    shared INTEGER NOT NULL,                     -- accepted only
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Storage pools: DEFINE STGPOOL. A primary pool is also a domain of deduplication.
CREATE TABLE storage_pools (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- pool name
    device_class TEXT NOT NULL,                  -- name of its device class
    pool_type TEXT NOT NULL,                     -- PRIMARY, COPY
    variant TEXT NOT NULL,                       -- RANDOM, SEQUENTIAL, COPY
    description TEXT NOT NULL,                   -- free text
    access TEXT NOT NULL,                        -- READWRITE, READONLY, UNAVAILABLE
    high_migration_percent INTEGER NOT NULL,     -- migration starts at this occupancy
    low_migration_percent INTEGER NOT NULL,      -- migration stops at this occupancy
    next_pool TEXT NOT NULL,                     -- where data goes when this is full; '' = nowhere
    max_size_bytes INTEGER,                      -- larger files go to the next pool; NULL = no limit
    crc_data INTEGER NOT NULL,                   -- accepted only
    cache INTEGER NOT NULL,                      -- keep migrated data until space is needed
    migration_processes INTEGER NOT NULL,        -- parallel processes
    migration_delay_days INTEGER NOT NULL,       -- days data stays before it may migrate
    migration_continue INTEGER NOT NULL,         -- migrate younger data where the delay would stop migration
    auto_copy TEXT NOT NULL,                     -- NONE, CLIENT, MIGRATION, ALL
    copy_pools TEXT NOT NULL,                    -- pools written at the same time, comma separated
    copy_continue INTEGER NOT NULL,              -- go on when one of these fails
    reclaim_percent INTEGER NOT NULL,            -- a volume with this much dead space is reclaimed; 100 = never
    reclaim_processes INTEGER NOT NULL,          -- parallel processes
    reclaim_pool TEXT NOT NULL,                  -- where reclaimed data goes; '' = the same pool
    offsite_reclaim_limit INTEGER,               -- offsite volumes reclaimed in one run; NULL = no limit
    collocate TEXT NOT NULL,                     -- NO, GROUP, NODE, FILESPACE
    max_scratch INTEGER NOT NULL,                -- volumes the pool may make by itself
    reuse_delay_days INTEGER NOT NULL,           -- days an emptied volume stays PENDING
    overflow_location TEXT NOT NULL,             -- free text
    updated_time INTEGER NOT NULL,               -- last DEFINE or UPDATE; 0 = made by the server
    updated_by TEXT NOT NULL,                    -- administrator; '' = the server
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Volumes of storage pools. A volume with placements cannot be deleted.
CREATE TABLE volumes (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- file path, or name at the target
    pool_id INTEGER NOT NULL REFERENCES storage_pools (id), -- its pool
    scratch INTEGER NOT NULL,                    -- 1 = made by the pool, removed when empty
    access TEXT NOT NULL,                        -- READWRITE, READONLY, UNAVAILABLE, DESTROYED, OFFSITE
    status TEXT NOT NULL,                        -- ONLINE, OFFLINE (random); EMPTY, FILLING, FULL, PENDING (sequential)
    capacity_bytes INTEGER NOT NULL,             -- how much it can hold
    written_bytes INTEGER NOT NULL,              -- sequential: where the next record will start, the label included;
                                                 -- every placement ends at or below it. Random: 0
    location TEXT NOT NULL,                      -- free text
    read_errors INTEGER NOT NULL,                -- since it exists
    write_errors INTEGER NOT NULL,               -- since it exists
    mounts INTEGER NOT NULL,                     -- times opened
    write_pass INTEGER NOT NULL,                 -- times written from the start
    created_time INTEGER NOT NULL,               -- when it joined the pool
    last_read_time INTEGER NOT NULL,             -- 0 = never
    last_written_time INTEGER NOT NULL,          -- 0 = never
    pending_time INTEGER,                        -- when it became PENDING; NULL = it is not
    receipt BLOB NOT NULL,                       -- virtual volume: the target's last receipt (msgpack); else empty
    updated_time INTEGER NOT NULL,               -- last UPDATE VOLUME; 0 = never
    updated_by TEXT NOT NULL,                    -- administrator; '' = nobody
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- The volumes of a pool.
CREATE INDEX volumes_by_pool ON volumes (pool_id);

-- Policy domains: DEFINE DOMAIN.
CREATE TABLE domains (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- domain name
    description TEXT NOT NULL,                   -- free text
    backup_retention_days INTEGER NOT NULL,      -- grace for inactive versions whose class is gone
    archive_retention_days INTEGER NOT NULL,     -- grace for archive copies whose class is gone
    activated_set TEXT NOT NULL,                 -- name of the set copied to ACTIVE; '' = none
    activated_time INTEGER,                      -- when; NULL = never
    updated_time INTEGER NOT NULL,               -- last change
    updated_by TEXT NOT NULL,                    -- by whom
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Policy sets. The set ACTIVE of a domain is the one that counts.
CREATE TABLE policy_sets (
    id INTEGER PRIMARY KEY,                      -- number
    domain TEXT NOT NULL,                        -- name of its domain
    name TEXT NOT NULL,                          -- name of the set
    default_class TEXT NOT NULL,                 -- class of files bound to none; '' = not assigned yet
    description TEXT NOT NULL,                   -- free text
    updated_time INTEGER NOT NULL,               -- last change
    updated_by TEXT NOT NULL,                    -- by whom
    row_digest BLOB NOT NULL,                    -- over all columns above
    UNIQUE (domain, name)
);

-- Management classes.
CREATE TABLE management_classes (
    id INTEGER PRIMARY KEY,                      -- number
    domain TEXT NOT NULL,                        -- name of its domain
    policy_set TEXT NOT NULL,                    -- name of its set
    name TEXT NOT NULL,                          -- name of the class
    space_management TEXT NOT NULL,              -- AUTOMATIC, SELECTIVE, NONE
    auto_migrate_days INTEGER NOT NULL,          -- days without use before migration
    migration_requires_backup INTEGER NOT NULL,  -- only backed up files migrate
    migration_destination TEXT NOT NULL,         -- pool of migrated files
    description TEXT NOT NULL,                   -- free text
    updated_time INTEGER NOT NULL,               -- last change
    updated_by TEXT NOT NULL,                    -- by whom
    row_digest BLOB NOT NULL,                    -- over all columns above
    UNIQUE (domain, policy_set, name)
);

-- Copy groups: how many versions are kept, how long, and where. NULL stands for NOLIMIT.
CREATE TABLE copy_groups (
    id INTEGER PRIMARY KEY,                      -- number
    domain TEXT NOT NULL,                        -- name of its domain
    policy_set TEXT NOT NULL,                    -- name of its set
    management_class TEXT NOT NULL,              -- name of its class
    name TEXT NOT NULL,                          -- always STANDARD
    type TEXT NOT NULL,                          -- BACKUP, ARCHIVE
    destination TEXT NOT NULL,                   -- primary pool that receives the data
    versions_exist INTEGER,                      -- versions kept while the file exists
    versions_deleted INTEGER,                    -- versions kept after the file is gone
    retain_extra_days INTEGER,                   -- days an inactive version is kept
    retain_only_days INTEGER,                    -- days the last version of a deleted file is kept
    retain_version_days INTEGER,                 -- days an archive copy is kept
    frequency_days INTEGER NOT NULL,             -- least days between two full incremental backups
    mode TEXT NOT NULL,                          -- MODIFIED, ABSOLUTE
    serialization TEXT NOT NULL,                 -- SHRSTATIC, STATIC, SHRDYNAMIC, DYNAMIC
    retain_init TEXT NOT NULL,                   -- CREATION, EVENT
    retain_min_days INTEGER NOT NULL,            -- least days with EVENT
    updated_time INTEGER NOT NULL,               -- last change
    updated_by TEXT NOT NULL,                    -- by whom
    row_digest BLOB NOT NULL,                    -- over all columns above
    UNIQUE (domain, policy_set, management_class, type)
);

-- File spaces of nodes. `ADSM.SERVER` of a source holds its virtual volumes.
CREATE TABLE file_spaces (
    id INTEGER PRIMARY KEY,                      -- number within this server
    node_id INTEGER NOT NULL REFERENCES nodes (id), -- whose it is
    name TEXT NOT NULL,                          -- mount point
    number INTEGER NOT NULL,                     -- FSID: number within the node, from 1
    platform TEXT NOT NULL,                      -- as the client told
    type TEXT NOT NULL,                          -- file system type: EXT4, XFS, ...
    capacity_bytes INTEGER NOT NULL,             -- as the client told
    occupied_bytes INTEGER NOT NULL,             -- as the client told
    backup_start_time INTEGER,                   -- last full incremental; NULL = never
    backup_end_time INTEGER,                     -- last complete full incremental; NULL = never
    row_digest BLOB NOT NULL,                    -- over all columns above
    UNIQUE (node_id, name),
    UNIQUE (node_id, number)
);

-- Names of management classes that objects are bound to. A name stays when the class is gone.
CREATE TABLE class_names (
    id INTEGER PRIMARY KEY,                      -- number used in `objects`
    name TEXT NOT NULL UNIQUE                    -- name of the class; policy looks it up in the node's domain
);

-- Every directory of a file space that holds objects, once.
CREATE TABLE directories (
    id INTEGER PRIMARY KEY,                      -- number used in `objects`
    file_space_id INTEGER NOT NULL REFERENCES file_spaces (id), -- where
    path BLOB NOT NULL,                          -- components joined by NUL, none in front; empty = the root.
                                                 -- Byte order of paths is the order of a depth-first walk
    UNIQUE (file_space_id, path)
);

-- One row for each version of each file, directory, link: backup, archive and space-managed copies, and segments of
-- virtual volumes. Clustered so that an inventory is one scan and the versions of a name stand side by side.
CREATE TABLE objects (
    file_space_id INTEGER NOT NULL,              -- where
    directory_id INTEGER NOT NULL,               -- in which directory; a directory stands in its parent
    name BLOB NOT NULL,                          -- last component; empty only for the root itself
    id INTEGER NOT NULL,                         -- number of the version; later versions have larger numbers
    kind INTEGER NOT NULL,                       -- 1 backup, 2 archive, 3 space-managed
    type INTEGER NOT NULL,                       -- 1 file, 2 directory, 3 symbolic link, 4 fifo, 5 device, 9 virtual volume
    state INTEGER NOT NULL,                      -- 0 open: a segment still being received, or a deletion under way; never shown.
                                                 -- 1 active, 2 inactive, 3 marked for deletion by its source.
                                                 -- Of one name at most one backup version is active
    class_id INTEGER NOT NULL,                   -- management class, see class_names
    size_bytes INTEGER NOT NULL,                 -- as the client sees it; without holes it is the sum of its extents
    inserted_time INTEGER NOT NULL,              -- when this version came
    deactivated_time INTEGER NOT NULL,           -- when it became inactive; 0 = it is not
    attributes BLOB NOT NULL,                    -- what the client keeps with it, opaque here
    description TEXT NOT NULL,                   -- archive description; else ''
    row_digest BLOB NOT NULL,                    -- over all columns above and, unless the state is 0, the list of its
                                                 -- (offset, extent) pairs in order
    PRIMARY KEY (file_space_id, directory_id, name, id)
) WITHOUT ROWID;
-- From a number to its row.
CREATE UNIQUE INDEX objects_by_id ON objects (id);

-- Which extents make up which object.
CREATE TABLE object_extents (
    object_id INTEGER NOT NULL,                  -- the object
    offset_bytes INTEGER NOT NULL,               -- where the extent starts in its data, holes left out:
                                                 -- the sum of the lengths of the extents before it
    extent_id INTEGER NOT NULL,                  -- the extent
    PRIMARY KEY (object_id, offset_bytes)
) WITHOUT ROWID;
-- Who uses an extent. An extent without a row here is deleted in the same transaction.
CREATE INDEX object_extents_by_extent ON object_extents (extent_id);

-- Objects with so many extents that deleting them takes several transactions. Their state is 0.
CREATE TABLE deletions (
    object_id INTEGER PRIMARY KEY                -- the object; finished at the next start where a crash came between
);

-- Pieces of data, each stored once in a domain of deduplication.
CREATE TABLE extents (
    id INTEGER PRIMARY KEY,                      -- number; those of one aggregate were given in a row
    aggregate_id INTEGER NOT NULL,               -- the aggregate that holds it
    offset_bytes INTEGER NOT NULL,               -- where it starts among the aggregate's extents, the pack's directory not counted
    length_bytes INTEGER NOT NULL,               -- its plain length, at most 4 MiB
    digest BLOB NOT NULL,                        -- BLAKE3-256 of its plain bytes; for a record of a virtual volume the
                                                 -- digest in the record's own header
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- From a digest to the extents that may have it. Digests come in random order, so new entries go into a small level
-- and move on in ranges (catalog/extent_index.py). One entry for each extent.
CREATE TABLE extent_index (
    level INTEGER NOT NULL,                      -- 2 newest, 1, 0 oldest and largest
    domain_pool_id INTEGER NOT NULL,             -- primary pool the aggregate was first sent to
    digest_prefix INTEGER NOT NULL,              -- first 8 bytes of the digest as a signed big-endian number
    extent_id INTEGER NOT NULL,                  -- the extent; its full digest decides
    PRIMARY KEY (level, domain_pool_id, digest_prefix, extent_id)
) WITHOUT ROWID;

-- How full the levels of extent_index are, and up to where the present round has moved entries on.
CREATE TABLE extent_levels (
    level INTEGER PRIMARY KEY,                   -- 2, 1
    entries INTEGER NOT NULL,                    -- how many it holds, at most (deleted ones may still be counted)
    domain_pool_id INTEGER NOT NULL,             -- domain of the last entry that moved; -1 = at the start
    digest_prefix INTEGER NOT NULL,              -- its prefix
    extent_id INTEGER NOT NULL                   -- its extent
);
INSERT INTO extent_levels VALUES (1, 0, -1, 0, 0), (2, 0, -1, 0, 0);

-- Sealed units of up to 4 MiB of extents: what is stored, sent, copied and verified.
CREATE TABLE aggregates (
    id INTEGER PRIMARY KEY,                      -- number
    record_id BLOB NOT NULL,                     -- 16 random bytes its key is derived from
    digest BLOB NOT NULL,                        -- digest in the record's header: its address everywhere
    stored_bytes INTEGER NOT NULL,               -- length on a volume, header and padding included; a multiple of 4096
    plain_bytes INTEGER NOT NULL,                -- length of the pack before compression, its directory included
    codec INTEGER NOT NULL,                      -- 0 raw, 1 zstd
    key_id INTEGER NOT NULL,                     -- master key it is sealed with; 0 = not sealed by this server
    node_id INTEGER NOT NULL,                    -- node that sent it first: may be told that it is known
    file_space_id INTEGER NOT NULL,              -- file space it was first sent for: what collocation goes by. A number that
                                                 -- is gone stays
    domain_pool_id INTEGER NOT NULL,             -- primary pool it was first sent to: domain of deduplication
    first_extent_id INTEGER NOT NULL,            -- its extents are numbered from here
    extents INTEGER NOT NULL,                    -- how many numbers from there on are of its extents: how many it was made
                                                 -- with, or the first one of a row that was rebuilt from one another
    extent_bytes INTEGER NOT NULL,               -- sum of their lengths when it was made
    live_bytes INTEGER NOT NULL,                 -- sum of the lengths of its extents that still exist; an aggregate
                                                 -- without any is deleted in the same transaction
    created_time INTEGER NOT NULL,               -- when its data came: rebuilding does not make it younger
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- "This aggregate lies on this volume at this offset."
CREATE TABLE placements (
    volume_id INTEGER NOT NULL REFERENCES volumes (id), -- the volume
    offset_bytes INTEGER NOT NULL,               -- where the record starts; a multiple of 4096. Two placements of one
                                                 -- volume never overlap
    aggregate_id INTEGER NOT NULL REFERENCES aggregates (id), -- the aggregate; its stored_bytes is the length here
    damaged INTEGER NOT NULL,                    -- 1 = reading it gave wrong or no bytes
    row_digest BLOB NOT NULL,                    -- over all columns above
    PRIMARY KEY (volume_id, offset_bytes)
) WITHOUT ROWID;
-- Where an aggregate lies. At most one placement on each volume.
CREATE UNIQUE INDEX placements_by_aggregate ON placements (aggregate_id, volume_id);

-- Target side: archive files of virtual volumes, one row for each segment. The bytes hang on the object of this number.
CREATE TABLE segments (
    object_id INTEGER PRIMARY KEY,               -- the object in `objects`; its directory is the volume's name
    node_id INTEGER NOT NULL,                    -- the source
    volume TEXT NOT NULL,                        -- name of the virtual volume
    offset_bytes INTEGER NOT NULL,               -- where the segment starts in the volume
    stored_bytes INTEGER NOT NULL,               -- its length so far: the sum of its records
    records INTEGER NOT NULL,                    -- how many records so far
    digest BLOB NOT NULL,                        -- BLAKE3 over its record digests in order; empty while it is open
    received_time INTEGER NOT NULL,              -- when it was closed; 0 = open or given up
    abandoned_time INTEGER NOT NULL,             -- given up: its records stay known for a while, then it is deleted; 0 = not
    marked_time INTEGER NOT NULL,                -- when its source deleted it; 0 = not
    delete_time INTEGER NOT NULL,                -- marked: may be deleted from then on; 0 = not marked
    receipt_number INTEGER NOT NULL,             -- its receipt in `receipts`; 0 = none yet
    received_running INTEGER NOT NULL,           -- clock_guard.running_seconds when it was closed; 0 = open or given up
    marked_running INTEGER NOT NULL,             -- the same when its source deleted it; 0 = not marked
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- The segments of a volume in order, and lists by name.
CREATE INDEX segments_by_volume ON segments (node_id, volume, offset_bytes);
-- What is due for deletion.
CREATE INDEX segments_by_delete_time ON segments (delete_time) WHERE delete_time > 0;
-- How much a source has deleted lately.
CREATE INDEX segments_by_marked_running ON segments (node_id, marked_running) WHERE marked_time > 0;
-- What was given up.
CREATE INDEX segments_by_abandoned_time ON segments (abandoned_time) WHERE abandoned_time > 0;

-- Target side: the chain of receipts given to each source. Rows stay when the segment is gone.
CREATE TABLE receipts (
    node_id INTEGER NOT NULL,                    -- the source
    number INTEGER NOT NULL,                     -- 1, 2, 3 without a gap for each source
    receipt BLOB NOT NULL,                       -- the signed receipt (msgpack), as sent
    PRIMARY KEY (node_id, number)
) WITHOUT ROWID;
