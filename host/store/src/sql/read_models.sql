SELECT id, status FROM {k}read_model WHERE projection = $1 AND status <> 'dropped' ORDER BY id
