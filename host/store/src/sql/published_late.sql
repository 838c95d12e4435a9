SELECT p.projection, p.collection, c.table_name
FROM {k}published p
    JOIN {k}deployment d ON d.projection = p.projection AND d.outcome = 'serving'
    JOIN {k}collection c ON c.read_model = d.read_model AND c.name = p.collection
WHERE p.table_name IS DISTINCT FROM c.table_name
