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
