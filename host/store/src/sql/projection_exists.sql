SELECT deployment FROM {k}projection WHERE name = $1
