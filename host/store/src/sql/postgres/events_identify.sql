SELECT global_position, event_id::text AS event_id, left(event_type::text, 100) AS event_type,
    left(aggregate_id::text, 1000) AS aggregate_id
FROM {events}
WHERE {wanted} AND $7::bigint > 0
ORDER BY global_position
LIMIT $6
