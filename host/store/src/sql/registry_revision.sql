SELECT revision FROM {k}registry
