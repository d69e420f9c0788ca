-- Deployments that runs in flight still need, newest first.
SELECT d.deployment_id, d.used_at, d.live_runs, d.runs, list(DISTINCT r.workflow) AS workflows
FROM deployments AS d JOIN runs AS r USING (deployment_id)
WHERE d.live_runs > 0 AND r.status IN ('pending', 'running')
GROUP BY ALL
ORDER BY d.used_at DESC
