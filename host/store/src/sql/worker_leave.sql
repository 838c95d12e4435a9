DELETE FROM {k}worker WHERE id IN (SELECT id FROM {k}worker WHERE id IN ({listed}) ORDER BY id {for_update})
