SELECT id FROM {k}read_model WHERE status <> 'dropped'
