SELECT wanted.number, found.aggregate_version::bigint AS aggregate_version
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS wanted(c, t, i, number)
JOIN {heads} found ON found.bounded_context = wanted.c AND found.aggregate_type = wanted.t
    AND found.aggregate_id = wanted.i
ORDER BY wanted.number
FOR UPDATE OF found
