SELECT id FROM {k}deployment WHERE id = $1 {for_no_key_update}
