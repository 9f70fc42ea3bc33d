-- The storage hierarchy: migration, reclamation, collocation groups, audits.

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
