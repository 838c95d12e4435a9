SELECT bytes FROM {k}component WHERE digest = $1
