-- How long people let the desk wait: support_desk asks them by the hooks RefundDecision and ColleagueReply.
SELECT name AS asked, runs.attributes['customer'] AS customer, hooks.created_at,
       round(hooks.waited_ms / 1000, 1) AS waited_s, hooks.status
FROM hooks JOIN runs USING (run_id)
WHERE name <> 'flow:CustomerMessage' ORDER BY hooks.created_at DESC
