SELECT revision FROM {k}registry {for_update}
