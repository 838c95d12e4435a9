SELECT range_start, range_end, position, generation
FROM {k}checkpoint
WHERE read_model = $1 AND range_start < $3 AND range_end > $2
ORDER BY range_start
{for_update}
