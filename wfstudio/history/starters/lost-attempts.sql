-- Steps whose attempts were cut off: their process crashed, was killed, or ran out of memory.
SELECT name, deployment_id, count(*) AS lost, count(DISTINCT run_id) AS runs, max(started_at) AS last_at
FROM attempts
WHERE status = 'lost'
GROUP BY name, deployment_id
ORDER BY lost DESC
