UPDATE {k}published SET table_name = (
    SELECT c.table_name FROM {k}collection c WHERE c.read_model = $2 AND c.name = {k}published.collection)
WHERE projection = $1
