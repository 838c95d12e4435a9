SELECT previous + 1 AS first, position - 1 AS last
FROM (
    SELECT position, lag(position, 1, $1) OVER (ORDER BY position) AS previous
    FROM (
        SELECT global_position::bigint AS position FROM {events}
        WHERE global_position > $1 AND global_position <= $2
    ) event
) numbered
WHERE position > previous + 1
ORDER BY position DESC
LIMIT $3
