//! The test vectors beside the contract, by which other programs divide events: they are what the host computes.

use std::collections::BTreeMap;

use kennel_core::partition::{self, HashRange};
use kennel_core::projection::Partitioning;
use serde::Deserialize;

const VECTORS: &str = include_str!("../../../wit/partitions.json");

#[derive(Deserialize)]
struct Vectors {
    aggregates: Vec<Aggregate>,
    single: Vec<Single>,
}

#[derive(Deserialize)]
struct Aggregate {
    id: String,
    hash: u32,
    /// By the number of partitions.
    partition: BTreeMap<u32, u32>,
}

#[derive(Deserialize)]
struct Single {
    projection: String,
    hash: u32,
    partition: BTreeMap<u32, u32>,
}

#[test]
fn the_vectors_are_those_of_the_host() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    let ids: Vec<&str> = vectors.aggregates.iter().map(|one| one.id.as_str()).collect();
    assert!(ids.contains(&"") && ids.iter().any(|id| id.len() > 1000) && ids.iter().any(|id| !id.is_ascii()));
    for Aggregate { id, hash, partition } in &vectors.aggregates {
        assert_eq!(partition::hash(id), *hash, "{id:?}");
        for (&count, &index) in partition {
            assert!(HashRange::of_partition(index, count).contains(*hash), "{id:?}: {index} of {count}");
            // As wit/README.md has it.
            assert_eq!(((u64::from(*hash) + 1) * u64::from(count) - 1) >> 32, u64::from(index), "{id:?}");
        }
    }
    for Single { projection, hash, partition } in &vectors.single {
        assert_eq!(partition::hash(projection), *hash, "{projection}");
        let name = projection.parse().unwrap();
        for (&count, &index) in partition {
            let owned = |at| partition::share(Partitioning::Single, &name, at, count).is_some();
            assert!(owned(index) && (0..count).filter(|at| owned(*at)).count() == 1, "{projection}");
        }
    }
}
