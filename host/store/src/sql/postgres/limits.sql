SELECT session_user::text AS role,
    CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END::bigint AS of_role,
    CASE WHEN rolsuper THEN -1 ELSE (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) END::bigint
        AS of_database,
    current_setting('max_connections')::bigint
        - CASE WHEN rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::bigint END AS of_server
FROM pg_roles
WHERE rolname = session_user
