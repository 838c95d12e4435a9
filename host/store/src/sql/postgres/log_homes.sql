SELECT path.schema
FROM unnest($1::text || current_schemas(false)::text[]) WITH ORDINALITY AS path (schema, ordinal)
JOIN pg_namespace n ON n.nspname = path.schema
WHERE path.schema <> 'kennel'
ORDER BY NOT has_schema_privilege(n.oid, 'CREATE'), path.ordinal
LIMIT 1
