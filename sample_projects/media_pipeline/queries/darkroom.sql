-- Who waited for the darkroom, and for how long: media_pipeline takes the lock `darkroom` around every `soften`.
WITH locks AS (
  SELECT run_id, correlation_id,
         min(recorded_at) FILTER (WHERE type = 'lock_requested') AS asked,
         min(recorded_at) FILTER (WHERE type = 'lock_acquired') AS got,
         min(recorded_at) FILTER (WHERE type = 'lock_released') AS freed
  FROM events WHERE type LIKE 'lock%' GROUP BY run_id, correlation_id
)
SELECT runs.attributes['album'] AS album, count(*) AS pictures,
       round(p50(date_diff('millisecond', asked, got))) AS waited_ms,
       round(p50(date_diff('millisecond', got, freed))) AS held_ms
FROM locks JOIN runs USING (run_id) GROUP BY album ORDER BY album
