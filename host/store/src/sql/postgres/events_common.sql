-- The last event that was created before a checkpoint was moved, among the last ones at or below its position. With $3,
-- only if its row is older than the checkpoint's as well.
SELECT e.global_position FROM {events} e
WHERE e.global_position <= $1 AND e.global_position > $1 - 100000
    AND e.created_at <= to_timestamp($2::double precision / 1000000)
    AND ($3::bigint = 0 OR age(e.xmin) >= (
        SELECT min(age(c.xmin)) FROM kennel.checkpoint c WHERE c.read_model = $4::bigint AND c.position = $1
    ))
ORDER BY e.global_position DESC LIMIT 1
