SELECT id FROM {k}read_model WHERE id = $1 AND status = 'deleting' {for_update}
