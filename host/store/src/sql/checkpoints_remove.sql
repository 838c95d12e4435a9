DELETE FROM {k}checkpoint WHERE read_model = $1
