DELETE FROM {k}checkpoint WHERE deployment = $1 AND range_start = $2
