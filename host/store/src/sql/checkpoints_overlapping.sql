SELECT c.range_start, c.range_end, c.position, c.generation, c.witness_position, c.witness_id,
    {covered} AS borne_out, c.moved_at
FROM {k}checkpoint c
WHERE c.read_model = $1 AND c.range_start < $3 AND c.range_end > $2
ORDER BY c.range_start
{for_update}
