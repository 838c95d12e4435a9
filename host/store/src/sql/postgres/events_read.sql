-- Weighs nothing, so it is for logs of short rows: of a long one it says no more than that it is there.
SELECT global_position,
    CASE WHEN NOT kennel_long THEN bounded_context::text END AS bounded_context,
    CASE WHEN NOT kennel_long THEN aggregate_type::text END AS aggregate_type,
    CASE WHEN NOT kennel_long THEN aggregate_id::text END AS aggregate_id,
    aggregate_version::bigint AS aggregate_version, event_id,
    CASE WHEN NOT kennel_long THEN event_type::text END AS event_type,
    event_version::bigint AS event_version,
    CASE WHEN NOT kennel_long THEN payload END AS payload,
    CASE WHEN NOT kennel_long THEN trace_id::text END AS trace_id,
    CASE WHEN NOT kennel_long THEN correlation_id::text END AS correlation_id,
    CASE WHEN NOT kennel_long THEN causation_id::text END AS causation_id,
    CASE WHEN NOT kennel_long THEN metadata::text END AS metadata,
    created_at, 0 AS bytes, kennel_long AS is_long, metadata IS NOT NULL AS has_metadata
FROM (
    SELECT *, coalesce(octet_length(payload) > {short_payload}
        OR pg_column_size(metadata) > {short_text}
        OR octet_length(bounded_context::text) > {short_text} OR octet_length(aggregate_type::text) > {short_text}
        OR octet_length(aggregate_id::text) > {short_text} OR octet_length(event_type::text) > {short_text}
        OR octet_length(trace_id::text) > {short_text} OR octet_length(correlation_id::text) > {short_text}
        OR octet_length(causation_id::text) > {short_text}, false) AS kennel_long
    FROM {events}
    WHERE {wanted}
    ORDER BY global_position
    LIMIT $6
) page
WHERE $7::bigint > 0
ORDER BY global_position
