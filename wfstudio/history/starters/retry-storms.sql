-- Steps with the most retries within one hour, and what they failed of.
SELECT date_trunc('hour', started_at) AS hour, name, count(*) AS failed_attempts, count(DISTINCT run_id) AS runs,
  mode(error_type) AS mostly
FROM attempts
WHERE status IN ('failed', 'lost')
GROUP BY hour, name
ORDER BY failed_attempts DESC
LIMIT 20
