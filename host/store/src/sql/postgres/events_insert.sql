INSERT INTO {events} (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type,
    event_version, payload, trace_id, correlation_id, causation_id, metadata, created_at)
SELECT c, t, i, v, e, et, ev, p, tr, co, ca, m::jsonb, coalesce(timestamptz '2000-01-01 00:00:00+00' + at, clock_timestamp())
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[], $6::text[], $7::int[], $8::bytea[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::interval[])
    WITH ORDINALITY AS given(c, t, i, v, e, et, ev, p, tr, co, ca, m, at, number)
ORDER BY number
