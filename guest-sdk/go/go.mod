module kennel/projection

go 1.24
