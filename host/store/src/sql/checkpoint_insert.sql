INSERT INTO {k}checkpoint
    (read_model, range_start, range_end, position, generation, witness_position, witness_id, moved_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, {now})
