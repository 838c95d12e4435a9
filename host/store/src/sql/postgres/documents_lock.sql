SELECT found.key, found.revision, CASE WHEN wanted.summed THEN found.document::text END AS document
FROM unnest($1::text[], $2::boolean[]) AS wanted(key, summed)
JOIN {table} found ON found.key = wanted.key COLLATE "C"
ORDER BY found.key
FOR NO KEY UPDATE OF found
