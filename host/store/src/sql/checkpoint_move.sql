-- Moves nothing if the last event of the log is not the witness, at the old position and at the new one.
UPDATE {k}checkpoint AS c SET position = $1, witness_position = $7, witness_id = $8, moved_at = {now}
WHERE c.read_model = $2 AND c.generation = $3 AND c.position = $4 AND c.range_start >= $5 AND c.range_end <= $6
    AND {last_position:$1} = $7 AND {last_id:$1} = $8
    AND {last_position:$4} = c.witness_position AND {last_id:$4} = c.witness_id
RETURNING range_end - range_start AS width
