SELECT global_position,
    CASE WHEN kennel_fits THEN bounded_context::text ELSE left(bounded_context::text, 100) END AS bounded_context,
    CASE WHEN kennel_fits THEN aggregate_type::text ELSE left(aggregate_type::text, 100) END AS aggregate_type,
    CASE WHEN kennel_fits THEN aggregate_id::text ELSE left(aggregate_id::text, 1000) END AS aggregate_id,
    aggregate_version::bigint AS aggregate_version, event_id,
    CASE WHEN kennel_fits THEN event_type::text ELSE left(event_type::text, 100) END AS event_type,
    event_version::bigint AS event_version,
    CASE WHEN kennel_fits THEN payload END AS payload,
    CASE WHEN kennel_fits THEN trace_id::text END AS trace_id,
    CASE WHEN kennel_fits THEN correlation_id::text END AS correlation_id,
    CASE WHEN kennel_fits THEN causation_id::text END AS causation_id,
    CASE WHEN kennel_fits AND octet_length(kennel_written) <= {event_bytes_max} THEN kennel_written END
        AS metadata,
    created_at, kennel_bytes AS bytes, kennel_bytes_upto AS bytes_upto, metadata IS NOT NULL AS has_metadata
-- How long metadata is written out is not known before it is: numbers may have more digits than it has bytes. OFFSET
-- keeps the planner from having it written out once for its length and once more.
FROM (SELECT *, metadata::text AS kennel_written FROM (
    SELECT *, kennel_bytes <= {event_bytes_max} AS kennel_fits,
        sum(kennel_bytes) OVER (ORDER BY global_position ROWS UNBOUNDED PRECEDING) AS kennel_bytes_upto
    FROM (
        SELECT *, least(256::bigint + coalesce(octet_length(payload), 0) + coalesce(pg_column_size(metadata), 0)
            + coalesce(octet_length(bounded_context::text), 0) + coalesce(octet_length(aggregate_type::text), 0)
            + coalesce(octet_length(aggregate_id::text), 0) + coalesce(octet_length(event_type::text), 0)
            + coalesce(octet_length(trace_id::text), 0) + coalesce(octet_length(correlation_id::text), 0)
            + coalesce(octet_length(causation_id::text), 0), 2000000000)::int AS kennel_bytes
        FROM {events}
        WHERE {wanted}
        ORDER BY global_position
        LIMIT $6
    ) page
) weighed
WHERE kennel_bytes_upto - kennel_bytes < $7 OFFSET 0) read
ORDER BY global_position
