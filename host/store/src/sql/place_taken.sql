SELECT place FROM {k}projection WHERE place = $1 UNION ALL SELECT place FROM {k}read_model WHERE place = $1
