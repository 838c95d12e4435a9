-- Relations of this name, in the order in which the search path finds them. Kennel's own schema is none of it, although
-- a role of the same name has it on its path.
SELECT schema, is_table
FROM (
    SELECT path.schema, c.relkind IN ('r', 'p') AS is_table, min(path.ordinal) AS ordinal
    FROM unnest($2::text || current_schemas(false)::text[]) WITH ORDINALITY AS path (schema, ordinal)
    JOIN pg_namespace n ON n.nspname = path.schema
    JOIN pg_class c ON c.relnamespace = n.oid
    WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND (path.schema <> 'kennel' OR path.schema = $2)
    GROUP BY path.schema, c.relkind
) found
ORDER BY ordinal
