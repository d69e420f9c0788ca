-- Runs an hour, by how they ended, of the last two days.
SELECT date_trunc('hour', created_at) AS hour, count(*) AS runs, count(*) FILTER (status = 'completed') AS completed,
  count(*) FILTER (status = 'failed') AS failed, count(*) FILTER (status = 'cancelled') AS cancelled,
  round(p95(CASE WHEN ended_at IS NOT NULL THEN duration_ms END), 1) AS p95_ms
FROM runs
WHERE created_at > since('2d')
GROUP BY hour
ORDER BY hour
