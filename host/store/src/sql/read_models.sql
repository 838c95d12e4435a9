SELECT id, standing FROM {k}read_model WHERE projection = $1 AND standing <> 'dropped' ORDER BY id
