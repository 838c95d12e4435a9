//! An application that reads the documents of the projections again and again, and remembers what was there before:
//! nothing that was shown once may be gone later, whichever read model serves by then.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::port::{DeploymentStore as _, ReadModel as _, Wanted};
use kennel_core::projection::ReadModelId;
use kennel_store::memory::MemoryStore;
use serde_json::Value;

use super::guests::{AUDIT, LEDGER};
use super::world::World;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reads until it is stopped.
pub(super) async fn read(world: Arc<World>, store: MemoryStore) {
    // How many events were shown last, and how often the projection had been dropped before.
    let mut seen = [(0, 0); 2];
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for (name, seen) in [LEDGER, AUDIT].into_iter().zip(&mut seen) {
            let projection = name.parse().expect("a name");
            let found = store.find(&projection).await.expect("the store answers");
            let Some(deployment) = found else { continue };
            let shown = match name {
                LEDGER => entries(&store, deployment.read_model).await,
                _ => events(&store, deployment.read_model).await,
            };
            let drops = world.invariants(|invariants| invariants.drops(&projection));
            if seen.0 > shown && seen.1 == drops {
                world.complain(format!("a reader of {name} saw {} events and then only {shown}", seen.0));
            }
            *seen = (shown, drops);
        }
    }
}

async fn entries(store: &MemoryStore, read_model: ReadModelId) -> u64 {
    let wanted = [Wanted { collection: "ledger".to_owned(), keys: vec!["chain".to_owned()] }];
    let found = store.fetch(read_model, &wanted).await.expect("the store answers").remove(0).remove(0);
    let chain = found.and_then(|stored| serde_json::from_str::<Value>(&stored.document).ok());
    chain.and_then(|chain| chain["count"].as_u64()).unwrap_or(0)
}

async fn events(store: &MemoryStore, read_model: ReadModelId) -> u64 {
    store.scan(read_model, "events", None, "", usize::MAX).await.expect("the store answers").len() as u64
}
