SELECT global_position,
    CASE WHEN fits THEN bounded_context::text ELSE left(bounded_context::text, 100) END,
    CASE WHEN fits THEN aggregate_type::text ELSE left(aggregate_type::text, 100) END,
    CASE WHEN fits THEN aggregate_id::text ELSE left(aggregate_id::text, 1000) END,
    aggregate_version::bigint, event_id,
    CASE WHEN fits THEN event_type::text ELSE left(event_type::text, 100) END,
    event_version::bigint,
    CASE WHEN fits THEN payload END,
    CASE WHEN fits THEN trace_id::text END,
    CASE WHEN fits THEN correlation_id::text END,
    CASE WHEN fits THEN causation_id::text END,
    -- How long it is written out is not known before it is: numbers may have more digits than it has bytes.
    CASE WHEN fits AND (pg_column_size(metadata) <= 4000 OR octet_length(metadata::text) <= {event_bytes_max})
        THEN metadata::text END,
    created_at, own_bytes, bytes_upto, metadata IS NOT NULL
FROM (
    SELECT *, own_bytes <= {event_bytes_max} AS fits,
        sum(own_bytes) OVER (ORDER BY global_position ROWS UNBOUNDED PRECEDING) AS bytes_upto
    FROM (
        SELECT *, least(256::bigint + coalesce(octet_length(payload), 0) + coalesce(pg_column_size(metadata), 0)
            + coalesce(octet_length(bounded_context::text), 0) + coalesce(octet_length(aggregate_type::text), 0)
            + coalesce(octet_length(aggregate_id::text), 0) + coalesce(octet_length(event_type::text), 0)
            + coalesce(octet_length(trace_id::text), 0) + coalesce(octet_length(correlation_id::text), 0)
            + coalesce(octet_length(causation_id::text), 0), 2000000000)::int AS own_bytes
        FROM {events}
        WHERE {wanted}
        ORDER BY global_position
        LIMIT $6
    ) page
) weighed
WHERE bytes_upto - own_bytes < $7
ORDER BY global_position
