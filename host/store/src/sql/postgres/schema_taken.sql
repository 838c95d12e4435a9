-- A schema with the name of a role is in that role's search path, before the schema of the event log.
SELECT nspname::text FROM pg_namespace WHERE nspname = $1
UNION ALL
SELECT rolname::text FROM pg_roles WHERE rolname = $1
