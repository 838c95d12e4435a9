DELETE FROM {table} WHERE key IN (SELECT value FROM json_each($1))
