SELECT current_setting('server_version_num')::bigint AS version, current_setting('server_version') AS shown,
    current_setting('server_encoding') AS encoding,
    (SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout') AS lock_timeout
