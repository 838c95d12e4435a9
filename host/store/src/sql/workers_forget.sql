DELETE FROM {k}worker
