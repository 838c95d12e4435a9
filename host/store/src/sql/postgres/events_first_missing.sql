SELECT $1 + n AS missing
FROM (
    SELECT global_position, row_number() OVER (ORDER BY global_position) AS n
    FROM {events}
    WHERE global_position > $1 AND global_position <= $2
) numbered
WHERE global_position <> $1 + n
ORDER BY global_position
LIMIT 1
