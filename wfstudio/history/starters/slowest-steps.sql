-- The slowest steps of each deployment, by the 95th percentile of the last 30 days.
SELECT deployment_id, name, count(*) AS steps, round(p50(duration_ms), 1) AS p50_ms, round(p95(duration_ms), 1) AS p95_ms,
  round(max(duration_ms), 1) AS max_ms
FROM steps
WHERE status = 'completed' AND created_at > since('30d')
GROUP BY deployment_id, name
ORDER BY p95_ms DESC
LIMIT 20
