SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),
    current_setting('server_encoding'),
    (SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout')
