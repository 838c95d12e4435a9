SELECT session_user::text,
    CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END::bigint,
    CASE WHEN rolsuper THEN -1 ELSE (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) END::bigint,
    current_setting('max_connections')::bigint
        - CASE WHEN rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::bigint END
FROM pg_roles
WHERE rolname = session_user
