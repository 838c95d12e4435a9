UPDATE {k}checkpoint SET position = $1
WHERE read_model = $2 AND generation = $3 AND position = $4 AND range_start >= $5 AND range_end <= $6
RETURNING range_end - range_start
