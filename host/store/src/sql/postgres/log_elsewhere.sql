SELECT n.nspname::text AS schema
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'global_position' AND NOT a.attisdropped
WHERE c.relname = $1 AND c.relkind IN ('r', 'p') AND n.nspname <> 'kennel' AND n.nspname !~ '^pg_'
ORDER BY 1
LIMIT 1
