SELECT id, namespace FROM {k}read_model WHERE status = 'deleting' ORDER BY id
