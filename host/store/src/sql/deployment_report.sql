UPDATE {k}deployment SET state = $2, last_failure = coalesce($3, last_failure) WHERE id = $1
