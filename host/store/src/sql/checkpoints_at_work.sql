SELECT c.read_model, c.range_start, c.range_end, c.position, c.generation, c.witness_position, c.witness_id,
    {covered} AS borne_out, c.moved_at
FROM {k}deployment d JOIN {k}checkpoint c ON c.read_model = d.read_model
WHERE d.outcome IN ('serving', 'candidate')
ORDER BY c.read_model, c.range_start
