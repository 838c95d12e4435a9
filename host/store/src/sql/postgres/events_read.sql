SELECT global_position, bounded_context, aggregate_type, aggregate_id::text, aggregate_version::bigint, event_id,
    event_type, event_version::int, payload, trace_id::text, correlation_id::text, causation_id::text,
    metadata::text, created_at
FROM (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY global_position ROWS UNBOUNDED PRECEDING)
        - octet_length(payload) AS bytes_before
    FROM (
        SELECT * FROM {events}
        WHERE global_position > $1 AND global_position <= $2
            AND ($3::text[] IS NULL OR bounded_context = ANY($3))
            AND ($4::text[] IS NULL OR aggregate_type = ANY($4))
            AND ($5::text[] IS NULL OR event_type = ANY($5))
            AND {in_ranges}
        ORDER BY global_position
        LIMIT $6
    ) page
) weighed
WHERE bytes_before < $7
ORDER BY global_position
