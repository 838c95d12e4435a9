INSERT INTO {k}checkpoint (read_model, range_start, range_end, position, generation)
VALUES ($1, $2, $3, $4, $5)
