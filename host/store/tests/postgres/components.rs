//! Components that are damaged, and those that are not wanted.

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Mode, Operation};
use kennel_test_support::conformance::{ask, new_code};

use super::{sql, store, stranger};

#[tokio::test]
async fn a_damaged_component_is_repaired_by_storing_it_again() {
    let (url, store) = store().await;
    let digest = Digest::of(b"code");
    store.put_component(digest, b"code").await.unwrap();
    sql(&mut stranger(&url).await, "UPDATE kennel.component SET bytes = 'rot'").await;
    assert_eq!(store.component(digest).await.unwrap().unwrap(), b"rot");
    store.put_component(digest, b"code").await.unwrap();
    assert_eq!(store.component(digest).await.unwrap().unwrap(), b"code");
}

#[tokio::test]
async fn components_that_were_never_deployed_go_in_the_end() {
    let (url, store) = store().await;
    for code in ["old", "new", "used", "wanted"] {
        store.put_component(Digest::of(code.as_bytes()), code.as_bytes()).await.unwrap();
    }
    let deploy = Operation::Deploy(Box::new(new_code("p", "used", Mode::Continue)));
    ask(&*store, "p", deploy).await.unwrap();
    let age = format!(
        "UPDATE kennel.component SET wanted_at = wanted_at - 25 * 3600 * 1000000::bigint WHERE digest <> '{}'",
        Digest::of(b"new")
    );
    sql(&mut stranger(&url).await, &age).await;
    // An operator is about to deploy it.
    store.put_component(Digest::of(b"wanted"), b"wanted").await.unwrap();
    store.collect_garbage().await.unwrap();
    for (code, is_there) in [("old", false), ("new", true), ("used", true), ("wanted", true)] {
        let found = store.component(Digest::of(code.as_bytes())).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{code}");
    }
}
