-- The driver reads rows ahead, so none may be large: a long column comes as the number 0, and the row is read by
-- itself.
SELECT global_position,
    CASE WHEN octet_length(bounded_context) > 1024 THEN 0 ELSE bounded_context END AS bounded_context,
    CASE WHEN octet_length(aggregate_type) > 1024 THEN 0 ELSE aggregate_type END AS aggregate_type,
    CASE WHEN octet_length(aggregate_id) > 1024 THEN 0 ELSE aggregate_id END AS aggregate_id,
    aggregate_version, event_id,
    CASE WHEN octet_length(event_type) > 1024 THEN 0 ELSE event_type END AS event_type,
    event_version,
    CASE WHEN octet_length(payload) > 16384 THEN 0 ELSE payload END AS payload,
    CASE WHEN octet_length(trace_id) > 1024 THEN 0 ELSE trace_id END AS trace_id,
    CASE WHEN octet_length(correlation_id) > 1024 THEN 0 ELSE correlation_id END AS correlation_id,
    CASE WHEN octet_length(causation_id) > 1024 THEN 0 ELSE causation_id END AS causation_id,
    CASE WHEN octet_length(metadata) > 16384 THEN 0 ELSE metadata END AS metadata,
    CASE WHEN octet_length(created_at) > 1024 THEN 0 ELSE created_at END AS created_at
FROM {events}
WHERE global_position > $1 AND global_position <= $2
    AND ($3 IS NULL OR bounded_context IN (SELECT value FROM json_each($3)))
    AND ($4 IS NULL OR aggregate_type IN (SELECT value FROM json_each($4)))
    AND ($5 IS NULL OR event_type IN (SELECT value FROM json_each($5)))
ORDER BY global_position
LIMIT $6
