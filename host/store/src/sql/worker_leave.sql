DELETE FROM {k}worker WHERE id = $1
