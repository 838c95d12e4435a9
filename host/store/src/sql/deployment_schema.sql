SELECT read_schema FROM {k}deployment WHERE id = $1
