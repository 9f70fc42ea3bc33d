-- The storage hierarchy: migration, reclamation, collocation groups, audits.

-- Collocation groups: nodes whose data shares volumes in pools with COLLOCATE=GROUP. DEFINE COLLOCGROUP.
CREATE TABLE collocation_groups (
    id INTEGER PRIMARY KEY,                      -- number
    name TEXT NOT NULL UNIQUE,                   -- name of the group
    description TEXT NOT NULL,                   -- free text
    row_digest BLOB NOT NULL                     -- over all columns above
);

-- Which nodes belong to a group: DEFINE COLLOCMEMBER. A node belongs to one group at most; without one it is kept by itself.
CREATE TABLE collocation_members (
    id INTEGER PRIMARY KEY,                      -- number
    group_id INTEGER NOT NULL REFERENCES collocation_groups (id), -- the group
    node_id INTEGER NOT NULL UNIQUE REFERENCES nodes (id), -- the member
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- The members of a group.
CREATE INDEX collocation_members_by_group ON collocation_members (group_id);

-- Whose data lies on a volume, and how much of it is still needed: what collocation, migration and reclamation go by. It
-- follows from placements and their aggregates and changes in the transactions that change these; there is a row only
-- where something lies.
CREATE TABLE volume_owners (
    volume_id INTEGER NOT NULL,                  -- the volume
    node_id INTEGER NOT NULL,                    -- node of the aggregates
    file_space_id INTEGER NOT NULL,              -- file space of the aggregates
    aggregates INTEGER NOT NULL,                 -- how many placements of theirs the volume has, never 0
    stored_bytes INTEGER NOT NULL,               -- sum of their stored_bytes
    live_bytes INTEGER NOT NULL,                 -- sum of stored_bytes * live_bytes / extent_bytes of their aggregates, each
                                                 -- rounded down: what of stored_bytes is still needed
    PRIMARY KEY (volume_id, node_id, file_space_id)
) WITHOUT ROWID;
-- The volumes of a node.
CREATE INDEX volume_owners_by_node ON volume_owners (node_id);
INSERT INTO volume_owners SELECT p.volume_id, a.node_id, a.file_space_id, COUNT(*), SUM(a.stored_bytes),
    SUM(a.stored_bytes * a.live_bytes / a.extent_bytes) FROM placements p JOIN aggregates a ON a.id = p.aggregate_id
    GROUP BY p.volume_id, a.node_id, a.file_space_id;

-- Aggregates that were rebuilt without their dead extents, while older records of them still lie somewhere. No extent
-- points to a superseded aggregate. It has the same range of extent numbers as its replacement, and the same live_bytes.
CREATE TABLE superseded_aggregates (
    aggregate_id INTEGER PRIMARY KEY REFERENCES aggregates (id), -- the old one; it has at least one placement, and goes
                                                 -- from a pool when the new one has come to that pool
    by_aggregate_id INTEGER NOT NULL REFERENCES aggregates (id), -- the one that holds its extents now; never superseded itself
    row_digest BLOB NOT NULL                     -- over all columns above
);
-- What an aggregate was rebuilt from.
CREATE INDEX superseded_aggregates_by_new ON superseded_aggregates (by_aggregate_id);

-- Bytes that migration left in a random pool (CACHE=YES). Not placements: the aggregate lies in another pool, and nothing
-- counts on what stands here. It serves reads until its span is needed, and may go at any moment.
CREATE TABLE cached_copies (
    volume_id INTEGER NOT NULL REFERENCES volumes (id) ON DELETE CASCADE, -- the random volume
    offset_bytes INTEGER NOT NULL,               -- where the record starts; overlaps no placement and no other cached copy
    aggregate_id INTEGER NOT NULL REFERENCES aggregates (id), -- the aggregate; its stored_bytes is the length here
    cached_time INTEGER NOT NULL,                -- when it migrated: the oldest goes first
    row_digest BLOB NOT NULL,                    -- over all columns above
    PRIMARY KEY (volume_id, offset_bytes)
) WITHOUT ROWID;
-- What is cached of an aggregate.
CREATE INDEX cached_copies_by_aggregate ON cached_copies (aggregate_id);
-- Which goes next when a volume needs room.
CREATE INDEX cached_copies_by_time ON cached_copies (volume_id, cached_time, offset_bytes);

-- How far a volume was checked, by AUDIT VOLUME or by the scrub. A volume without a row was never checked.
CREATE TABLE volume_checks (
    volume_id INTEGER PRIMARY KEY REFERENCES volumes (id) ON DELETE CASCADE, -- the volume
    write_pass INTEGER NOT NULL,                 -- the volume's own when this was noted: a row of another one counts for nothing
    checked_time INTEGER NOT NULL,               -- all that lies below checked_to_bytes was checked since then; 0 = never
    checked_to_bytes INTEGER NOT NULL,           -- sequential: what lies there or behind was never checked
    new_time INTEGER NOT NULL,                   -- since when there is something that was never checked; 0 = none was noticed
    pass_time INTEGER NOT NULL,                  -- when the pass under way over the whole volume began; 0 = none
    next_offset INTEGER NOT NULL,                -- where that pass goes on
    last_time INTEGER NOT NULL,                  -- when something on it was last checked; 0 = never
    bad_records INTEGER NOT NULL,                -- found since the last pass began
    verdict TEXT NOT NULL,                       -- GOOD, DAMAGED, UNREADABLE; '' = none yet
    row_digest BLOB NOT NULL                     -- over all columns above
);
