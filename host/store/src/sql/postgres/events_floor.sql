SELECT coalesce(max(c.position), 0)::bigint FROM kennel.checkpoint c WHERE {covered} = 1
