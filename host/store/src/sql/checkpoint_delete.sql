DELETE FROM {k}checkpoint WHERE read_model = $1 AND range_start = $2
