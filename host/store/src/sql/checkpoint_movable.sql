SELECT c.range_end - c.range_start AS width FROM {k}checkpoint c
WHERE c.read_model = $1 AND c.generation = $2 AND c.position = $3 AND c.range_start >= $4 AND c.range_end <= $5
