-- What a log says, as tables: the rules of core.traces in SQL. tests/wfstudio/history/test_derive.py holds both
-- against each other.
--
-- Each part is a SELECT under its name; mirror.py makes a table or a view of it. `{s}` is where the others are.
--
-- In:  `log`      all events of the runs that changed, with the columns of `events`
--      `fresh`    their rows, with the columns of `runs` that the world has
--      `pending`  (run, correlation_id) of the waits that are still pending
-- Out: `attempts`, `steps`, `hooks`, `waits`, `runs`; the other parts lead to them.
--
-- not_negative(x) is, unlike greatest(0, x), NULL for NULL.

-- name: line
-- A fork's inherited history lies before its creation: it is moved up to it, so that the days between are nobody's.
WITH gaps AS (
  SELECT log.run, any_value(fresh.created_at) AS created, any_value(fresh.created_at) - max(log.at_us) AS gap
  FROM {s}log AS log JOIN {s}fresh AS fresh USING (run)
  WHERE fresh.forked_from IS NOT NULL AND log.at_us < fresh.created_at
  GROUP BY log.run
)
SELECT log.* EXCLUDE (meta), CASE WHEN log.at_us < gaps.created THEN gaps.gap ELSE 0 END AS shift,
  log.meta ->> 'error_type' AS error_type, (log.meta ->> 'due_at')::BIGINT AS due_at, log.meta ->> 'kind' AS kind
FROM {s}log AS log LEFT JOIN gaps USING (run);

-- name: run_ends
SELECT run, min(at_us) AS at_us, min(seq) AS seq, any_value(error_type) AS error_type
FROM {s}line AS line WHERE type IN ('run_completed', 'run_failed', 'run_cancelled') GROUP BY run;

-- name: calls
SELECT run, correlation_id, name, at_us, seq, shift, attempt FROM {s}line AS line
WHERE type = 'step_created' AND name NOT LIKE 'wf/%';

-- name: attempt_ends
-- How attempts ended: the first of these events that names one.
SELECT run, correlation_id, attempt AS number, arg_min(type, seq) AS type, min(seq) AS seq, arg_min(at_us, seq) AS at_us,
  arg_min(shift, seq) AS shift, arg_min(error_type, seq) AS error_type, arg_min(due_at, seq) AS due_at
FROM {s}line AS line WHERE type IN ('step_retrying', 'step_completed', 'step_failed')
GROUP BY run, correlation_id, attempt;

-- name: tries
WITH starts AS (
  SELECT line.run, line.correlation_id, greatest(line.attempt, 1) AS number, line.seq, line.at_us, line.shift,
    calls.name, calls.at_us + calls.shift AS called, calls.attempt = 0 AS was_queued
  FROM {s}line AS line JOIN {s}calls AS calls USING (run, correlation_id)
  WHERE line.type = 'step_started' OR (line.type = 'step_created' AND line.attempt >= 1)
), placed AS (
  SELECT *, lead(at_us) OVER each_step AS next_at, lead(at_us + shift) OVER each_step AS next_line,
    row_number() OVER each_step AS place
  FROM starts WINDOW each_step AS (PARTITION BY run, correlation_id ORDER BY seq)
)
SELECT s.run, s.correlation_id, s.number, s.name,
  CASE
    WHEN e.type = 'step_completed' THEN 'completed'
    WHEN e.type = 'step_failed' AND ends_with(coalesce(e.error_type, ''), 'CancelledError') THEN 'cancelled'
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
      before.due_at + s.shift, before.at_us + before.shift))
    ELSE 0
  END AS queued_us,
  CASE WHEN e.type <> 'step_completed' THEN e.error_type END AS error_type,
  e.seq AS ended_seq, s.seq AS started_seq
FROM placed AS s
  LEFT JOIN {s}attempt_ends AS e ON e.run = s.run AND e.correlation_id = s.correlation_id AND e.number = s.number
  LEFT JOIN {s}attempt_ends AS before
    ON before.run = s.run AND before.correlation_id = s.correlation_id AND before.number = s.number - 1
  LEFT JOIN {s}run_ends AS r ON r.run = s.run;

-- name: attempts
SELECT * EXCLUDE (started_seq) FROM {s}tries AS tries;

-- name: steps
WITH tried AS (
  SELECT run, correlation_id, count(*) AS attempts, min(started_at) AS started_at, sum(queued_us) AS queued_us,
    max(started_seq) AS last_start
  FROM {s}tries AS tries GROUP BY run, correlation_id
), ends AS (
  SELECT run, correlation_id, arg_min(type, seq) AS type, min(seq) AS seq, arg_min(at_us, seq) AS at_us,
    arg_min(shift, seq) AS shift, arg_min(error_type, seq) AS error_type
  FROM {s}line AS line WHERE type IN ('step_completed', 'step_failed') GROUP BY run, correlation_id
), retries AS (
  SELECT run, correlation_id, max(seq) AS seq, arg_max(error_type, seq) AS error_type
  FROM {s}line AS line WHERE type = 'step_retrying' GROUP BY run, correlation_id
)
SELECT c.run, c.correlation_id, c.name,
  CASE
    WHEN e.type = 'step_completed' THEN 'completed'
    WHEN ends_with(coalesce(e.error_type, ''), 'CancelledError') THEN 'cancelled'
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
    ELSE not_negative(coalesce(e.at_us + e.shift, r.at_us) - (c.at_us + c.shift))
  END AS queued_us,
  coalesce(t.attempts, 0) AS attempts,
  CASE WHEN e.type IS DISTINCT FROM 'step_completed' THEN coalesce(e.error_type, y.error_type)
  END AS error_type,
  c.seq AS created_seq, e.seq AS ended_seq
FROM {s}calls AS c
  LEFT JOIN tried AS t ON t.run = c.run AND t.correlation_id = c.correlation_id
  LEFT JOIN ends AS e ON e.run = c.run AND e.correlation_id = c.correlation_id
  LEFT JOIN retries AS y ON y.run = c.run AND y.correlation_id = c.correlation_id
  LEFT JOIN {s}run_ends AS r ON r.run = c.run;

-- name: hooks
WITH received AS (
  SELECT run, correlation_id, count(*) AS payloads, min(at_us) AS received_at, min(seq) AS received_seq
  FROM {s}line AS line WHERE type = 'hook_received' GROUP BY run, correlation_id
), ends AS (
  SELECT run, correlation_id, arg_min(type, seq) AS type, arg_min(at_us, seq) AS at_us
  FROM {s}line AS line WHERE type IN ('hook_disposed', 'hook_conflict') GROUP BY run, correlation_id
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
FROM {s}line AS c
  LEFT JOIN received AS h ON h.run = c.run AND h.correlation_id = c.correlation_id
  LEFT JOIN ends AS e ON e.run = c.run AND e.correlation_id = c.correlation_id
  LEFT JOIN {s}run_ends AS r ON r.run = c.run
WHERE c.type = 'hook_created';

-- name: waits
-- A log does not say when a wait was given up: one that is not pending any more ended when it was due, or before.
WITH ends AS (
  SELECT run, correlation_id, min(at_us) AS at_us FROM {s}line AS line
  WHERE type = 'wait_completed' GROUP BY run, correlation_id
), last AS (SELECT run, max_by(at_us, seq) AS at_us FROM {s}line AS line GROUP BY run)
SELECT c.run, c.correlation_id, coalesce(c.kind, 'sleep') AS kind,
  CASE
    WHEN e.at_us IS NOT NULL THEN 'completed'
    WHEN r.at_us IS NOT NULL OR p.run IS NULL THEN 'abandoned'
    ELSE 'waiting'
  END AS status,
  c.at_us AS created_at, c.due_at AS due_at,
  coalesce(e.at_us, r.at_us, CASE WHEN p.run IS NULL THEN least(c.due_at, last.at_us) END) AS ended_at
FROM {s}line AS c
  LEFT JOIN ends AS e ON e.run = c.run AND e.correlation_id = c.correlation_id
  LEFT JOIN {s}run_ends AS r ON r.run = c.run
  LEFT JOIN {s}pending AS p ON p.run = c.run AND p.correlation_id = c.correlation_id
  LEFT JOIN last ON last.run = c.run
WHERE c.type = 'wait_created';

-- name: runs
WITH counted AS (
  SELECT c.run, count(*) AS steps, sum(greatest(coalesce(t.attempts, 0) - 1, 0)) AS retries
  FROM {s}calls AS c LEFT JOIN (
    SELECT run, correlation_id, count(*) AS attempts FROM {s}tries AS tries GROUP BY run, correlation_id
  ) AS t USING (run, correlation_id)
  GROUP BY c.run
)
SELECT f.*, CASE WHEN f.status = 'failed' THEN r.error_type END AS error_type,
  coalesce(n.steps, 0) AS steps, coalesce(n.retries, 0) AS retries
FROM {s}fresh AS f LEFT JOIN {s}run_ends AS r ON r.run = f.run LEFT JOIN counted AS n ON n.run = f.run;
