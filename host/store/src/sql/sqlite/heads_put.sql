INSERT INTO {heads} (bounded_context, aggregate_type, aggregate_id, aggregate_version)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) WHERE true
ON CONFLICT (bounded_context, aggregate_type, aggregate_id) DO UPDATE
SET aggregate_version = excluded.aggregate_version, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
