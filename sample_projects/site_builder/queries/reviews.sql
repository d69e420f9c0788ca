-- How long sites waited for their reviewer, and what came of it: the hook of site_builder is `flow:Approval`.
SELECT runs.attributes['tenant'] AS tenant, runs.run_id, round(hooks.waited_ms / 1000, 1) AS waited_s,
       runs.output ->> 'published' AS published, runs.output ->> 'comment' AS comment
FROM hooks JOIN runs USING (run_id)
WHERE hooks.name = 'flow:Approval' ORDER BY hooks.created_at DESC
