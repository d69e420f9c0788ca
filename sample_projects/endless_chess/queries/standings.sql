-- Who wins, with which colour and opening: endless_chess writes the result of a game into its run's attributes.
WITH games AS (
  SELECT attributes['opening'] AS opening, attributes['white'] AS white, attributes['black'] AS black,
         attributes['result'] AS result, steps
  FROM runs WHERE workflow = 'flow:play' AND status = 'completed'
), sides AS (
  SELECT white AS player, 'white' AS colour, opening, steps,
         CASE result WHEN '1-0' THEN 1 WHEN '0-1' THEN 0 ELSE 0.5 END AS points FROM games
  UNION ALL
  SELECT black, 'black', opening, steps,
         CASE result WHEN '0-1' THEN 1 WHEN '1-0' THEN 0 ELSE 0.5 END FROM games
)
SELECT player, colour, count(*) AS games, sum(points) AS points, round(avg(points), 2) AS average,
       round(avg(steps)) AS steps_a_game
FROM sides GROUP BY player, colour ORDER BY average DESC
