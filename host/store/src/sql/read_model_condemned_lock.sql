SELECT id FROM {k}read_model WHERE id = $1 AND standing = 'condemned' {for_update}
