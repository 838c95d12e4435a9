SELECT g.generation, g.owners
FROM {k}replica_set r JOIN {k}generation g ON g.replica_set = r.name AND g.generation = r.generation
WHERE r.name = $1
