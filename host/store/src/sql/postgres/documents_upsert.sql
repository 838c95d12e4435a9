INSERT INTO {table} (key, document, revision)
SELECT k, d::jsonb, r FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given(k, d, r)
ON CONFLICT (key) DO UPDATE SET document = excluded.document, revision = excluded.revision
