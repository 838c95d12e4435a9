UPDATE {k}component SET bytes = $2 WHERE digest = $1 AND bytes IS DISTINCT FROM $2
