INSERT INTO {table} (key, document, revision)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true
ON CONFLICT (key) DO UPDATE SET document = excluded.document, revision = excluded.revision
