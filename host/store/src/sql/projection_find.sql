SELECT replica_set, activity, promotion, fenced, namespace FROM {k}projection WHERE name = $1
