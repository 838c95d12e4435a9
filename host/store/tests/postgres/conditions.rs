//! Conditions of deployments, as time passes.

use super::{sql, store, stranger};
use kennel_test_support::conformance::deployments;

#[tokio::test]
async fn a_condition_that_is_not_reported_again_expires() {
    let (url, store) = store().await;
    let pass = async || {
        let age = "UPDATE kennel.condition SET reported_at = reported_at - 600000000";
        sql(&mut stranger(&url).await, age).await;
    };
    deployments::a_condition_that_is_not_reported_again_expires(&*store, pass).await;
}
