SELECT replica_set, activity, switch, frozen, place FROM {k}projection WHERE name = $1
