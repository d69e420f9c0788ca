-- Steps that complete only after a retry, and how often.
SELECT name, count(*) AS completed, count(*) FILTER (retries > 0) AS after_retries,
  round(100.0 * count(*) FILTER (retries > 0) / count(*), 1) AS percent, max(attempts) AS most_attempts
FROM steps
WHERE status = 'completed'
GROUP BY name
HAVING count(*) FILTER (retries > 0) > 0
ORDER BY percent DESC
