-- Runs that take the most room, with what they did to need it.
SELECT run_id, workflow, status, payload_bytes, events, steps, retries
FROM runs
ORDER BY payload_bytes DESC
LIMIT 20
