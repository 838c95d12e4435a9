SELECT 256 + coalesce(octet_length(payload), 0) + coalesce(octet_length(metadata), 0)
        + coalesce(octet_length(bounded_context), 0) + coalesce(octet_length(aggregate_type), 0)
        + coalesce(octet_length(aggregate_id), 0) + coalesce(octet_length(event_type), 0)
        + coalesce(octet_length(trace_id), 0) + coalesce(octet_length(correlation_id), 0)
        + coalesce(octet_length(causation_id), 0) + coalesce(octet_length(created_at), 0)
        + coalesce(octet_length(event_id), 0) AS bytes,
    CASE WHEN octet_length(aggregate_id) <= 65536 THEN aggregate_id ELSE substr(aggregate_id, 1, 1000) END
        AS aggregate_id,
    substr(event_id, 1, 36) AS event_id, substr(event_type, 1, 100) AS event_type
FROM {events}
WHERE global_position = $1
