DELETE FROM {k}condition WHERE reported_at <= {now} - $1
