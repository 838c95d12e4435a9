SELECT id, place FROM {k}read_model WHERE standing = 'condemned' ORDER BY id
