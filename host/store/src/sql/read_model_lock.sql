SELECT status FROM {k}read_model WHERE id = $1 {for_no_key_update}
