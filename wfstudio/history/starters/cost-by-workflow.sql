-- What workflows cost, where their runs say so in an attribute `cost`: wf.set_attributes(cost="0.02").
SELECT workflow, count(*) AS runs, round(sum(TRY_CAST(attributes['cost'] AS DOUBLE)), 4) AS cost,
  round(avg(TRY_CAST(attributes['cost'] AS DOUBLE)), 4) AS cost_per_run
FROM runs
GROUP BY workflow
ORDER BY cost DESC NULLS LAST
