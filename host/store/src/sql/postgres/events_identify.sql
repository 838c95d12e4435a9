SELECT global_position, event_id::text, left(event_type::text, 100), left(aggregate_id::text, 1000)
FROM {events}
WHERE {wanted} AND $7::bigint > 0
ORDER BY global_position
LIMIT $6
