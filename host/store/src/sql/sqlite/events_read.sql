SELECT global_position, bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type,
    event_version, payload, trace_id, correlation_id, causation_id, metadata, created_at
FROM {events}
WHERE global_position > $1 AND global_position <= $2
    AND ($3 IS NULL OR bounded_context IN (SELECT value FROM json_each($3)))
    AND ($4 IS NULL OR aggregate_type IN (SELECT value FROM json_each($4)))
    AND ($5 IS NULL OR event_type IN (SELECT value FROM json_each($5)))
ORDER BY global_position
LIMIT $6
