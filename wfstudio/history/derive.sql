-- What a log says, as tables: the rules of core.traces in SQL. tests/wfstudio/history/test_derive.py holds both
-- against each other.
--
-- In:  `log`      all events of the runs that changed (temporary; the columns of `events`)
--      `fresh`    their rows (temporary; the columns of `runs` that the world has)
--      `pending`  (run, correlation_id) of the waits that are still pending (temporary)
-- Out: rows in {schema}.steps, attempts, hooks, waits, runs.

-- Unlike greatest(0, x), which takes NULL for 0.
CREATE OR REPLACE TEMP MACRO not_negative(x) AS CASE WHEN x < 0 THEN 0 ELSE x END;

-- A fork's inherited history lies before its creation: it is moved up to it, so that the days between are nobody's.
CREATE OR REPLACE TEMP TABLE line AS
WITH gaps AS (
  SELECT log.run, any_value(fresh.created_at) AS created, any_value(fresh.created_at) - max(log.at_us) AS gap
  FROM log JOIN fresh USING (run)
  WHERE fresh.forked_from IS NOT NULL AND log.at_us < fresh.created_at
  GROUP BY log.run
)
SELECT log.*, CASE WHEN log.at_us < gaps.created THEN gaps.gap ELSE 0 END AS shift
FROM log LEFT JOIN gaps USING (run);

CREATE OR REPLACE TEMP TABLE run_ends AS
SELECT run, min(at_us) AS at_us, min(seq) AS seq, any_value(meta ->> 'error_type') AS error_type
FROM line WHERE type IN ('run_completed', 'run_failed', 'run_cancelled') GROUP BY run;

CREATE OR REPLACE TEMP TABLE calls AS
SELECT run, correlation_id, name, at_us, seq, shift, attempt FROM line
WHERE type = 'step_created' AND name NOT LIKE 'wf/%';

-- How attempts ended: the first of these events that names one.
CREATE OR REPLACE TEMP TABLE attempt_ends AS
SELECT run, correlation_id, attempt AS number, arg_min(type, seq) AS type, min(seq) AS seq, arg_min(at_us, seq) AS at_us,
  arg_min(shift, seq) AS shift, arg_min(meta, seq) AS meta
FROM line WHERE type IN ('step_retrying', 'step_completed', 'step_failed')
GROUP BY run, correlation_id, attempt;

CREATE OR REPLACE TEMP TABLE tries AS
WITH starts AS (
  SELECT line.run, line.correlation_id, greatest(line.attempt, 1) AS number, line.seq, line.at_us, line.shift,
    calls.name, calls.at_us + calls.shift AS called, calls.attempt = 0 AS was_queued
  FROM line JOIN calls USING (run, correlation_id)
  WHERE line.type = 'step_started' OR (line.type = 'step_created' AND line.attempt >= 1)
), placed AS (
  SELECT *, lead(at_us) OVER each_step AS next_at, lead(at_us + shift) OVER each_step AS next_line,
    row_number() OVER each_step AS place
  FROM starts WINDOW each_step AS (PARTITION BY run, correlation_id ORDER BY seq)
)
SELECT s.run, s.correlation_id, s.number, s.name,
  CASE
    WHEN e.type = 'step_completed' THEN 'completed'
    WHEN e.type = 'step_failed' AND ends_with(coalesce(e.meta ->> 'error_type', ''), 'CancelledError') THEN 'cancelled'
    WHEN e.type IS NOT NULL THEN 'failed'
    WHEN s.next_at IS NOT NULL THEN 'lost'
    WHEN r.at_us IS NOT NULL THEN 'abandoned'
    ELSE 'running'
  END AS status,
  s.at_us AS started_at,
  coalesce(e.at_us, s.next_at, r.at_us) AS ended_at,
  not_negative(coalesce(e.at_us + e.shift, s.next_line, r.at_us) - (s.at_us + s.shift)) AS duration_us,
  CASE
    WHEN s.place = 1 THEN CASE WHEN s.was_queued THEN s.at_us + s.shift - s.called ELSE 0 END
    WHEN before.type = 'step_retrying' THEN not_negative(s.at_us + s.shift - greatest(
      (before.meta ->> 'due_at')::BIGINT + s.shift, before.at_us + before.shift))
    ELSE 0
  END AS queued_us,
  CASE WHEN e.type <> 'step_completed' THEN e.meta ->> 'error_type' END AS error_type,
  e.seq AS ended_seq, s.seq AS started_seq
FROM placed AS s
  LEFT JOIN attempt_ends AS e ON e.run = s.run AND e.correlation_id = s.correlation_id AND e.number = s.number
  LEFT JOIN attempt_ends AS before
    ON before.run = s.run AND before.correlation_id = s.correlation_id AND before.number = s.number - 1
  LEFT JOIN run_ends AS r ON r.run = s.run;

INSERT INTO {schema}.attempts BY NAME SELECT * EXCLUDE (started_seq) FROM tries;

INSERT INTO {schema}.steps BY NAME
WITH tried AS (
  SELECT run, correlation_id, count(*) AS attempts, min(started_at) AS started_at, sum(queued_us) AS queued_us,
    max(started_seq) AS last_start
  FROM tries GROUP BY run, correlation_id
), ends AS (
  SELECT run, correlation_id, arg_min(type, seq) AS type, min(seq) AS seq, arg_min(at_us, seq) AS at_us,
    arg_min(shift, seq) AS shift, arg_min(meta, seq) AS meta
  FROM line WHERE type IN ('step_completed', 'step_failed') GROUP BY run, correlation_id
), retries AS (
  SELECT run, correlation_id, max(seq) AS seq, arg_max(meta, seq) AS meta
  FROM line WHERE type = 'step_retrying' GROUP BY run, correlation_id
)
SELECT c.run, c.correlation_id, c.name,
  CASE
    WHEN e.type = 'step_completed' THEN 'completed'
    WHEN ends_with(coalesce(e.meta ->> 'error_type', ''), 'CancelledError') THEN 'cancelled'
    WHEN e.type IS NOT NULL THEN 'failed'
    WHEN r.at_us IS NOT NULL THEN 'abandoned'
    WHEN y.seq > coalesce(t.last_start, 0) THEN 'retrying'
    WHEN t.attempts IS NULL THEN 'queued'
    ELSE 'running'
  END AS status,
  c.at_us AS created_at, t.started_at, coalesce(e.at_us, r.at_us) AS ended_at,
  not_negative(coalesce(e.at_us + e.shift, r.at_us) - (c.at_us + c.shift)) AS duration_us,
  CASE
    WHEN t.attempts IS NOT NULL THEN t.queued_us
    WHEN coalesce(e.at_us, r.at_us) IS NOT NULL THEN not_negative(coalesce(e.at_us + e.shift, r.at_us) - (c.at_us + c.shift))
  END AS queued_us,
  coalesce(t.attempts, 0) AS attempts,
  CASE WHEN e.type = 'step_completed' THEN NULL ELSE coalesce(e.meta ->> 'error_type', y.meta ->> 'error_type') END AS error_type,
  c.seq AS created_seq, e.seq AS ended_seq
FROM calls AS c
  LEFT JOIN tried AS t ON t.run = c.run AND t.correlation_id = c.correlation_id
  LEFT JOIN ends AS e ON e.run = c.run AND e.correlation_id = c.correlation_id
  LEFT JOIN retries AS y ON y.run = c.run AND y.correlation_id = c.correlation_id
  LEFT JOIN run_ends AS r ON r.run = c.run;

INSERT INTO {schema}.hooks BY NAME
WITH received AS (
  SELECT run, correlation_id, count(*) AS payloads, min(at_us) AS received_at, min(seq) AS received_seq
  FROM line WHERE type = 'hook_received' GROUP BY run, correlation_id
), ends AS (
  SELECT run, correlation_id, arg_min(type, seq) AS type, arg_min(at_us, seq) AS at_us
  FROM line WHERE type IN ('hook_disposed', 'hook_conflict') GROUP BY run, correlation_id
)
SELECT c.run, c.correlation_id, coalesce(c.name, 'hook') AS name,
  CASE
    WHEN e.type IS NOT NULL THEN substr(e.type, 6)
    WHEN h.payloads > 0 THEN 'received'
    WHEN r.at_us IS NOT NULL THEN 'abandoned'
    ELSE 'waiting'
  END AS status,
  c.at_us AS created_at, h.received_at, coalesce(e.at_us, r.at_us) AS ended_at, coalesce(h.payloads, 0) AS payloads,
  not_negative(coalesce(h.received_at, e.at_us, r.at_us) - c.at_us) AS waited_us, c.seq AS created_seq, h.received_seq
FROM line AS c
  LEFT JOIN received AS h ON h.run = c.run AND h.correlation_id = c.correlation_id
  LEFT JOIN ends AS e ON e.run = c.run AND e.correlation_id = c.correlation_id
  LEFT JOIN run_ends AS r ON r.run = c.run
WHERE c.type = 'hook_created';

-- A log does not say when a wait was given up: one that is not pending any more ended when it was due, or before.
INSERT INTO {schema}.waits BY NAME
WITH ends AS (
  SELECT run, correlation_id, min(at_us) AS at_us FROM line WHERE type = 'wait_completed' GROUP BY run, correlation_id
), last AS (SELECT run, max_by(at_us, seq) AS at_us FROM line GROUP BY run)
SELECT c.run, c.correlation_id, coalesce(c.meta ->> 'kind', 'sleep') AS kind,
  CASE
    WHEN e.at_us IS NOT NULL THEN 'completed'
    WHEN r.at_us IS NOT NULL OR p.run IS NULL THEN 'abandoned'
    ELSE 'waiting'
  END AS status,
  c.at_us AS created_at, (c.meta ->> 'due_at')::BIGINT AS due_at,
  coalesce(e.at_us, r.at_us, CASE WHEN p.run IS NULL THEN least((c.meta ->> 'due_at')::BIGINT, last.at_us) END) AS ended_at
FROM line AS c
  LEFT JOIN ends AS e ON e.run = c.run AND e.correlation_id = c.correlation_id
  LEFT JOIN run_ends AS r ON r.run = c.run
  LEFT JOIN pending AS p ON p.run = c.run AND p.correlation_id = c.correlation_id
  LEFT JOIN last ON last.run = c.run
WHERE c.type = 'wait_created';

INSERT INTO {schema}.runs BY NAME
WITH counted AS (
  SELECT c.run, count(*) AS steps, sum(greatest(coalesce(t.tries, 0) - 1, 0)) AS retries
  FROM calls AS c LEFT JOIN (SELECT run, correlation_id, count(*) AS tries FROM tries GROUP BY ALL) AS t USING (run, correlation_id)
  GROUP BY c.run
)
SELECT f.*, CASE WHEN f.status = 'failed' THEN r.error_type END AS error_type,
  coalesce(n.steps, 0) AS steps, coalesce(n.retries, 0) AS retries
FROM fresh AS f LEFT JOIN run_ends AS r ON r.run = f.run LEFT JOIN counted AS n ON n.run = f.run;
