SELECT to_regclass($1)::text WHERE to_regclass($1) IS NOT NULL
