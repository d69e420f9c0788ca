-- The tables of a Postgres world, as of schema version 1. Made in a schema of their own, named by the search path.
--
-- Read it as a specification; docs/event-log.md says what the columns mean. `events` is the truth about a run; all
-- other tables are kept in step with it by the same transactions. Payloads are sealed by whoever wrote them and are
-- never opened here. Instants are microseconds since 1970 UTC. Texts compare by their bytes (COLLATE "C"), as they do
-- in every world. No foreign keys: only this package writes, and a lookup per event is what a commit would pay for them.

-- The world: one row. `era` is drawn anew when positions of the feed of changes lose their meaning (see `feed`).
CREATE TABLE world (
  is_world boolean PRIMARY KEY DEFAULT true CHECK (is_world),
  version  integer NOT NULL,                      -- of this schema
  keys     text[] NOT NULL DEFAULT '{}',          -- ids of the keys that seal here, in hexadecimal; `off`: none does
  era      text NOT NULL,
  pruned_xid bigint NOT NULL DEFAULT 0            -- changes of transactions up to this one have been dropped
);

-- Runs: the current state of each, one row.
CREATE TABLE runs (
  id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of creation, within one process
  run_id                text COLLATE "C" NOT NULL UNIQUE,
  workflow              text COLLATE "C" NOT NULL, -- `module:qualname`, or the name it was given
  status                text COLLATE "C" NOT NULL, -- pending, running, completed, failed, cancelled
  deployment_id         text COLLATE "C" NOT NULL,
  created_at            bigint NOT NULL,
  started_at            bigint,
  ended_at              bigint,                   -- set if and only if the run has ended
  seq                   bigint NOT NULL,          -- its last event
  head                  bytea NOT NULL,           -- the link of that event
  mac                   bytea NOT NULL,           -- authenticates (seq, head)
  epoch                 bigint NOT NULL DEFAULT 0, -- grows with every lease; a commit names it
  owner                 text COLLATE "C",         -- the worker that has the lease
  wake_at               bigint,                   -- when an unowned run wants a worker; 0: now; NULL: at the next message
  barred                smallint NOT NULL DEFAULT 0, -- 1: its workflow's gate is closed; 2: every live worker refused it
  gate_limit            integer,                  -- how many runs of its workflow may execute at once
  attributes            text,                     -- JSON object of texts; NULL: none. No jsonb: it has no NUL
  parent_run_id         text COLLATE "C",
  parent_correlation_id bigint,
  continued_from        text COLLATE "C",
  continued_as          text COLLATE "C",
  forked_from           text COLLATE "C",
  error_code            text COLLATE "C",
  result_seq            bigint,                   -- the event that ended the run
  payload_bytes         bigint NOT NULL,          -- of all payloads in its log
  attention             text,                     -- JSON of wf.world.Attention; NULL: none
  origin                text                      -- where a run came from that did not run here; NULL: it is ours
) WITH (fillfactor = 70);                         -- a commit changes a row in place, where its page has room

CREATE INDEX runs_due ON runs (wake_at, id) WHERE owner IS NULL AND wake_at IS NOT NULL AND barred = 0;
CREATE INDEX runs_by_owner ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_by_age ON runs (created_at, id);
CREATE INDEX runs_live ON runs (created_at, id) WHERE status IN ('pending', 'running');
CREATE INDEX runs_not_well ON runs (created_at, id) WHERE status IN ('failed', 'cancelled');
CREATE INDEX runs_by_workflow ON runs (workflow, created_at, id);
CREATE INDEX runs_in_attention ON runs (barred) WHERE attention IS NOT NULL;
CREATE INDEX runs_to_copy ON runs (forked_from) WHERE forked_from IS NOT NULL AND seq = 1;

-- Events: the logs. `seq` is dense from 1; the columns are those of wf.events.Event, in its order.
-- The primary key is the promise that a place of a log is written once, whoever else believes to own the run.
CREATE TABLE events (
  run_id         text COLLATE "C" NOT NULL,
  seq            bigint NOT NULL,
  type           text COLLATE "C" NOT NULL,
  correlation_id bigint,
  name           text COLLATE "C",
  attempt        bigint,
  at             bigint NOT NULL,
  meta           text,
  payload        bytea,
  link           bytea NOT NULL,
  PRIMARY KEY (run_id, seq)
);
ALTER TABLE events ALTER COLUMN payload SET STORAGE EXTERNAL; -- it is sealed: there is nothing to compress

-- Inbox: messages that wait for a run's owner, which deletes them with the append they became. An id is drawn by who
-- holds the lock on the run's row, so that within a run ids grow in the order of the commits.
CREATE TABLE inbox (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id         text COLLATE "C" NOT NULL,
  kind           text COLLATE "C" NOT NULL,
  correlation_id bigint,
  at             bigint NOT NULL,
  meta           text,
  payload        bytea
);
ALTER TABLE inbox ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE INDEX inbox_by_run ON inbox (run_id, id);

-- Deliveries: which idempotent messages were written, whatever became of them.
CREATE TABLE deliveries (
  delivery_id text COLLATE "C" PRIMARY KEY,
  run_id      text COLLATE "C" NOT NULL
);

CREATE INDEX deliveries_by_run ON deliveries (run_id);

-- Waits: due times that a run waits for.
CREATE TABLE waits (
  run_id         text COLLATE "C" NOT NULL,
  correlation_id bigint NOT NULL,
  kind           text COLLATE "C" NOT NULL,       -- sleep, deadline, retry, run
  due_at         bigint NOT NULL,
  PRIMARY KEY (run_id, correlation_id)
);

-- Hooks: live tokens by their SHA-256. The primary key is the promise that a token is unique.
CREATE TABLE hooks (
  token_hash     bytea PRIMARY KEY,
  run_id         text COLLATE "C" NOT NULL,
  correlation_id bigint NOT NULL,
  kind           text COLLATE "C" NOT NULL,       -- hook, webhook
  seq            bigint NOT NULL,                 -- its hook_created event
  UNIQUE (run_id, correlation_id)
);

-- Locks: who holds a name and who queues for it, in order of request. The gate of a workflow that bounds its
-- concurrency is the lock `workflow:<workflow>` under correlation id 0.
CREATE TABLE locks (
  position       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name           text COLLATE "C" NOT NULL,
  run_id         text COLLATE "C" NOT NULL,
  correlation_id bigint NOT NULL,
  holders        integer NOT NULL,                -- the request's limit: how many may hold the name at once
  is_held        boolean NOT NULL DEFAULT false,
  UNIQUE (run_id, correlation_id)
);

CREATE INDEX locks_in_order ON locks (name, is_held, position);

-- Watchers: who is told by `child_ended` when a run ends.
CREATE TABLE watchers (
  run_id         text COLLATE "C" NOT NULL,       -- the run that is watched
  watcher_run_id text COLLATE "C" NOT NULL,
  correlation_id bigint NOT NULL,
  PRIMARY KEY (run_id, watcher_run_id, correlation_id)
);

-- Workers: those that announced themselves and were not lost. Leases live as long as `heard_at` is young.
CREATE TABLE workers (
  worker_id     text COLLATE "C" PRIMARY KEY,
  process       text NOT NULL,                    -- `<pid>:<start time>`
  host          text NOT NULL,                    -- where that pid means something; empty: nowhere that is known
  workflows     text[] NOT NULL,
  deployment_id text COLLATE "C" NOT NULL,
  deployments   text[],                           -- whose runs it is offered; NULL: of all that no other worker names
  heard_at      bigint NOT NULL,                  -- by the clock of this server
  told          bigint                            -- when it asks again by itself, as `claim` told it
) WITH (fillfactor = 50);

-- Refusals: which worker set a run's attention, knowing the cancels and terminates up to `inbox_id`.
CREATE TABLE refusals (
  run_id    text COLLATE "C" NOT NULL,
  worker_id text COLLATE "C" NOT NULL,
  inbox_id  bigint NOT NULL,
  PRIMARY KEY (run_id, worker_id)
);

-- A worker is not offered a run again that it refused, unless somebody asked since to end the run.
CREATE VIEW refused AS
  SELECT run_id, worker_id FROM refusals AS r
  WHERE NOT EXISTS (
    SELECT 1 FROM inbox AS i
    WHERE i.run_id = r.run_id AND i.id > r.inbox_id AND i.kind IN ('cancel', 'terminate')
  );

-- Chunks of streams, from index 0. A NULL payload is the end mark, and the last. The primary key is what makes two
-- writers of one place wait for each other.
CREATE TABLE chunks (
  run_id    text COLLATE "C" NOT NULL,
  name      text COLLATE "C" NOT NULL,
  index     bigint NOT NULL,
  at        bigint NOT NULL,
  payload   bytea,
  PRIMARY KEY (run_id, name, index)
);
ALTER TABLE chunks ALTER COLUMN payload SET STORAGE EXTERNAL;

-- Logs: sealed batches of lines that attempts printed or logged. Not part of the events.
CREATE TABLE logs (
  run_id         text COLLATE "C" NOT NULL,
  correlation_id bigint NOT NULL,
  attempt        bigint NOT NULL,
  index          bigint NOT NULL,
  at             bigint NOT NULL,
  payload        bytea NOT NULL,
  PRIMARY KEY (run_id, correlation_id, attempt, index)
);
ALTER TABLE logs ALTER COLUMN payload SET STORAGE EXTERNAL;

-- Deployments and their source files, which are kept once by their SHA-256 (hex).
CREATE TABLE deployments (
  deployment_id text COLLATE "C" PRIMARY KEY,
  created_at    bigint NOT NULL,
  manifest      text NOT NULL,                    -- JSON object: relative path to digest
  used_at       bigint NOT NULL,                  -- when a worker last loaded it; 0: none of this world ever did
  catalog       bytea                             -- its sealed wf.catalog.Catalog
);

CREATE TABLE sources (
  digest  text COLLATE "C" PRIMARY KEY,
  content bytea NOT NULL
);

-- Changes: which runs changed. A sequence is not the order of commits: who draws 7 may commit before who drew 6. So
-- each row has the id of its transaction, and who reads remembers up to where all transactions had ended (see `feed`).
CREATE TABLE changes (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
  run      bigint NOT NULL,                       -- runs.id; also of a run that is gone
  run_id   text COLLATE "C" NOT NULL,
  is_state boolean NOT NULL,                      -- more than its log: status, attention, deployment, continuation
  source   text COLLATE "C" NOT NULL              -- which open world wrote it: that one has rung its own bells already
);

CREATE INDEX changes_by_transaction ON changes (xid, run);
