SELECT id FROM {k}read_model WHERE standing <> 'dropped'
