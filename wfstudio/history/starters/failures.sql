-- Failed runs by the type of their error, with the last one of each.
SELECT workflow, error_type, error_code, count(*) AS runs, max(ended_at) AS last_at, max_by(run_id, ended_at) AS last_run
FROM runs
WHERE status = 'failed'
GROUP BY workflow, error_type, error_code
ORDER BY runs DESC
