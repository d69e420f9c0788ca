-- Hooks that people or programs let wait longest, live ones included.
SELECT name, run_id, workflow, status, round(waited_ms / 60000, 2) AS waited_minutes, created_at
FROM hooks
ORDER BY waited_ms DESC
LIMIT 20
