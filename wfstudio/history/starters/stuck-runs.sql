-- Runs that have not ended and to which nothing has happened for longest.
SELECT r.run_id, r.workflow, r.status, r.attention, max(e.recorded_at) AS last_event_at,
  max_by(e.type, e.seq) AS last_event, max_by(e.name, e.seq) FILTER (e.correlation_id IS NOT NULL) AS last_call
FROM runs AS r JOIN events AS e USING (run_id)
WHERE r.status IN ('pending', 'running') AND r.origin IS NULL
GROUP BY ALL
ORDER BY last_event_at
LIMIT 20
