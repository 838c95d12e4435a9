INSERT INTO {table} (key, document, revision) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET document = excluded.document, revision = excluded.revision
