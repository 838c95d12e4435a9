SELECT wanted.key AS number, found.aggregate_version
FROM json_each($1) wanted CROSS JOIN {heads} found
WHERE found.bounded_context = wanted.value ->> 0
    AND found.aggregate_type = wanted.value ->> 1
    AND found.aggregate_id = wanted.value ->> 2
