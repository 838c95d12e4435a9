//! Conditions of deployments, as time passes.

use kennel_core::condition::{Condition, ConditionReason};
use kennel_core::lifecycle::Mode;
use kennel_test_support::conformance::deploy;
use kennel_test_support::conformance::deployments;
use kennel_test_support::conformance::lifecycle::{PROJECTION, current, renew};

use super::{sql, store, stranger};

#[tokio::test]
async fn a_condition_that_is_not_reported_again_expires() {
    let (url, store) = store().await;
    let pass = async || {
        let age = "UPDATE kennel.condition SET reported_at = reported_at - 600000000";
        sql(&mut stranger(&url).await, age).await;
    };
    deployments::a_condition_that_is_not_reported_again_expires(&*store, pass).await;
}

#[tokio::test]
async fn a_condition_that_only_a_later_version_knows_is_left_out() {
    let (url, store) = store().await;
    deploy(&*store, PROJECTION).await;
    renew(&*store, "next", Mode::Rebuild).await;
    let candidate = current(&*store).await.candidate().unwrap().deployment.id;
    let reason = ConditionReason::ComponentNotLoaded;
    for source in ["ours", "theirs"] {
        let condition = Condition { reason, message: source.to_owned() };
        store.report_condition(candidate, source, Some(&condition)).await.unwrap();
    }
    let later = "UPDATE kennel.condition SET reason = 'Later' WHERE source = 'theirs'";
    sql(&mut stranger(&url).await, later).await;
    let progress = store.progress().await.unwrap();
    let sources: Vec<&str> =
        progress.iter().flat_map(|one| &one.conditions).map(|one| one.source.as_str()).collect();
    assert_eq!(sources, ["ours"]);
}
