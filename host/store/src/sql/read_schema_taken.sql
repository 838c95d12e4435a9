SELECT id FROM {k}deployment WHERE read_schema = $1
