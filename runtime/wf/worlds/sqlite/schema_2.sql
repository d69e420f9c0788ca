-- Schema version 2: workers that serve chosen deployments only, and what a deployment defines.

-- JSON array of the deployments whose runs the worker is offered; NULL: of all that no other worker names.
ALTER TABLE workers ADD COLUMN deployments TEXT;

-- Runs can be deleted, and their deliveries with them.
CREATE INDEX deliveries_by_run ON deliveries (run_id);

-- When a worker last loaded it, and its sealed wf.catalog.Catalog.
ALTER TABLE deployments ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployments ADD COLUMN catalog BLOB;
UPDATE deployments SET used_at = created_at;
