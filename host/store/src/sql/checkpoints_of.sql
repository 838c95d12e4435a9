SELECT range_start, range_end, position, generation FROM {k}checkpoint WHERE read_model = $1 ORDER BY range_start
