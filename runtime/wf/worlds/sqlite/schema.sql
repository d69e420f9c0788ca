-- The tables of an SQLite world, as of schema version 1.
--
-- Read it as a specification. `events` is the truth about a run; all other tables are kept in step
-- with it by the same transactions. Payloads are sealed by whoever wrote them and are never opened
-- here. Instants are microseconds since 1970 UTC. No foreign keys: only the core of this package
-- writes, in one transaction a call, and a lookup per event is what a commit would pay for them.

-- Runs: the current state of each, one row.
CREATE TABLE runs (
  id                    INTEGER PRIMARY KEY,      -- order of creation; breaks ties in lists and in the queue of due runs
  run_id                TEXT NOT NULL UNIQUE,
  workflow              TEXT NOT NULL,            -- `module:qualname`, or the name it was given
  status                TEXT NOT NULL,            -- pending, running, completed, failed, cancelled
  deployment_id         TEXT NOT NULL,
  created_at            INTEGER NOT NULL,
  started_at            INTEGER,
  ended_at              INTEGER,                  -- set if and only if the run has ended
  seq                   INTEGER NOT NULL,         -- its last event
  head                  BLOB NOT NULL,            -- the link of that event
  mac                   BLOB NOT NULL,            -- authenticates (seq, head)
  epoch                 INTEGER NOT NULL DEFAULT 0, -- grows with every lease; a commit names it
  owner                 TEXT,                     -- the worker that has the lease
  wake_at               INTEGER,                  -- when an unowned run wants a worker; 0: now; NULL: at the next message
  barred                INTEGER NOT NULL DEFAULT 0, -- 1: its workflow's gate is closed; 2: every live worker refused it
  gate_limit            INTEGER,                  -- how many runs of its workflow may execute at once
  attributes            TEXT,                     -- JSON object of texts; NULL: none
  parent_run_id         TEXT,
  parent_correlation_id INTEGER,
  continued_from        TEXT,
  continued_as          TEXT,
  forked_from           TEXT,
  error_code            TEXT,
  result_seq            INTEGER,                  -- the event that ended the run
  payload_bytes         INTEGER NOT NULL,         -- of all payloads in its log
  attention             TEXT                      -- JSON of wf.world.Attention; NULL: none
) STRICT;

CREATE INDEX runs_due ON runs (wake_at) WHERE owner IS NULL AND wake_at IS NOT NULL AND barred = 0;
CREATE INDEX runs_by_owner ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_by_age ON runs (created_at);
CREATE INDEX runs_live ON runs (created_at) WHERE status IN ('pending', 'running');
CREATE INDEX runs_not_well ON runs (created_at) WHERE status IN ('failed', 'cancelled');
CREATE INDEX runs_by_workflow ON runs (workflow, created_at);
CREATE INDEX runs_in_attention ON runs (barred) WHERE attention IS NOT NULL;

-- Events: the logs. `seq` is dense from 1; the columns are those of wf.events.Event, in its order.
CREATE TABLE events (
  run_id         TEXT NOT NULL,
  seq            INTEGER NOT NULL,
  type           TEXT NOT NULL,
  correlation_id INTEGER,
  name           TEXT,
  attempt        INTEGER,
  at             INTEGER NOT NULL,
  meta           TEXT,
  payload        BLOB,
  link           BLOB NOT NULL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- Inbox: messages that wait for a run's owner, which deletes them with the append they became.
-- AUTOINCREMENT: an id is never used again, so that "after this id" means the same for ever.
CREATE TABLE inbox (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id         TEXT NOT NULL,
  kind           TEXT NOT NULL,
  correlation_id INTEGER,
  at             INTEGER NOT NULL,
  meta           TEXT,
  payload        BLOB
) STRICT;

CREATE INDEX inbox_by_run ON inbox (run_id);

-- Deliveries: which idempotent messages were written, whatever became of them.
CREATE TABLE deliveries (
  delivery_id TEXT PRIMARY KEY,
  run_id      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Waits: due times that a run waits for.
CREATE TABLE waits (
  run_id         TEXT NOT NULL,
  correlation_id INTEGER NOT NULL,
  kind           TEXT NOT NULL,                   -- sleep, deadline, retry, run
  due_at         INTEGER NOT NULL,
  PRIMARY KEY (run_id, correlation_id)
) STRICT, WITHOUT ROWID;

-- Hooks: live tokens by their SHA-256. The primary key is the promise that a token is unique.
CREATE TABLE hooks (
  token_hash     BLOB PRIMARY KEY,
  run_id         TEXT NOT NULL,
  correlation_id INTEGER NOT NULL,
  kind           TEXT NOT NULL,                   -- hook, webhook
  seq            INTEGER NOT NULL,                -- its hook_created event
  UNIQUE (run_id, correlation_id)
) STRICT, WITHOUT ROWID;

-- Locks: who holds a name and who queues for it, in order of request. The gate of a workflow that
-- bounds its concurrency is the lock `workflow:<workflow>` under correlation id 0.
CREATE TABLE locks (
  position       INTEGER PRIMARY KEY AUTOINCREMENT,
  name           TEXT NOT NULL,
  run_id         TEXT NOT NULL,
  correlation_id INTEGER NOT NULL,
  holders        INTEGER NOT NULL,                -- the request's limit: how many may hold the name at once
  is_held        INTEGER NOT NULL DEFAULT 0,
  UNIQUE (run_id, correlation_id)
) STRICT;

CREATE INDEX locks_in_order ON locks (name, is_held, position);

-- Watchers: who is told by `child_ended` when a run ends.
CREATE TABLE watchers (
  run_id         TEXT NOT NULL,                   -- the run that is watched
  watcher_run_id TEXT NOT NULL,
  correlation_id INTEGER NOT NULL,
  PRIMARY KEY (run_id, watcher_run_id, correlation_id)
) STRICT, WITHOUT ROWID;

-- Workers: those that announced themselves and were not lost. Kept so that a new owner of the world
-- can tell the leases of living processes from those of dead ones.
CREATE TABLE workers (
  worker_id     TEXT PRIMARY KEY,
  process       TEXT NOT NULL,                    -- `<pid>:<start time>`
  workflows     TEXT NOT NULL,                    -- JSON array of ids
  deployment_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Refusals: which worker set a run's attention, knowing the cancels and terminates up to `inbox_id`.
CREATE TABLE refusals (
  run_id    TEXT NOT NULL,
  worker_id TEXT NOT NULL,
  inbox_id  INTEGER NOT NULL,
  PRIMARY KEY (run_id, worker_id)
) STRICT, WITHOUT ROWID;

-- A worker is not offered a run again that it refused, unless somebody asked since to end the run.
CREATE VIEW refused AS
  SELECT run_id, worker_id FROM refusals AS r
  WHERE NOT EXISTS (
    SELECT 1 FROM inbox AS i
    WHERE i.run_id = r.run_id AND i.id > r.inbox_id AND i.kind IN ('cancel', 'terminate')
  );

-- Chunks of streams, from index 0. A NULL payload is the end mark, and the last.
CREATE TABLE chunks (
  run_id    TEXT NOT NULL,
  name      TEXT NOT NULL,
  "index"   INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  payload   BLOB,
  PRIMARY KEY (run_id, name, "index")
) STRICT, WITHOUT ROWID;

-- Logs: sealed batches of lines that attempts printed or logged. Not part of the events.
CREATE TABLE logs (
  run_id         TEXT NOT NULL,
  correlation_id INTEGER NOT NULL,
  attempt        INTEGER NOT NULL,
  "index"        INTEGER NOT NULL,
  at             INTEGER NOT NULL,
  payload        BLOB NOT NULL,
  PRIMARY KEY (run_id, correlation_id, attempt, "index")
) STRICT, WITHOUT ROWID;

-- Deployments and their source files, which are kept once by their SHA-256 (hex).
CREATE TABLE deployments (
  deployment_id TEXT PRIMARY KEY,
  created_at    INTEGER NOT NULL,
  manifest      TEXT NOT NULL                     -- JSON object: relative path to digest
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
  digest  TEXT PRIMARY KEY,
  content BLOB NOT NULL
) STRICT;
