module projections/my-projection

go 1.24

require kennel/projection v0.0.0

replace kennel/projection => ./sdk
