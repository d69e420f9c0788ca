-- How long steps wait for a slot before they begin: too few workers, or too low a `concurrency`.
SELECT name, count(*) AS steps, round(p50(queued_ms), 1) AS p50_ms, round(p95(queued_ms), 1) AS p95_ms,
  round(max(queued_ms), 1) AS max_ms
FROM steps
WHERE queued_ms IS NOT NULL AND created_at > since('7d')
GROUP BY name
HAVING max(queued_ms) > 0
ORDER BY p95_ms DESC
