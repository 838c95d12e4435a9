INSERT INTO {heads} (bounded_context, aggregate_type, aggregate_id, aggregate_version)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (bounded_context, aggregate_type, aggregate_id) DO UPDATE
SET aggregate_version = excluded.aggregate_version, updated_at = now()
