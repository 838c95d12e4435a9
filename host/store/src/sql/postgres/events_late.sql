SELECT late.position, late.event_id
FROM unnest($1::bigint[], $2::bigint[]) AS gap (first, last)
CROSS JOIN LATERAL (
    SELECT global_position::bigint AS position, event_id::text AS event_id FROM {events}
    WHERE global_position >= gap.first AND global_position <= gap.last
    ORDER BY global_position
    LIMIT 1
) late
ORDER BY late.position
LIMIT 1
