SELECT namespace FROM {k}projection WHERE namespace = $1 UNION ALL SELECT namespace FROM {k}read_model WHERE namespace = $1
