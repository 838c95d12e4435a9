//! Runs the conformance suite on every store.
#![expect(clippy::unwrap_used, reason = "a failing test should panic")]

use std::sync::LazyLock;

use kennel_core::limits;
use kennel_core::port::StorePorts;
use kennel_store::memory::MemoryStore;
use kennel_store::{ConnectOptions, Mode, Store};
use kennel_test_support::postgres::Cluster;

/// One server for all tests of this file; it ends with the process.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

async fn open(url: &str, mode: Mode) -> Store {
    kennel_store::connect(&url.parse().unwrap(), &ConnectOptions { mode, ..ConnectOptions::default() })
        .await
        .unwrap()
}

async fn on_postgres(check: impl AsyncFn(&dyn StorePorts)) {
    let url = CLUSTER.create_database();
    let store = open(&url, Mode::Migrate).await;
    store.migrate().await.unwrap();
    store.close().await;
    let store = open(&url, Mode::Existing).await;
    check(&*store).await;
    store.close().await;
}

async fn on_memory(check: impl AsyncFn(&dyn StorePorts)) {
    check(&MemoryStore::new()).await;
}

async fn on_sqlite(check: impl AsyncFn(&dyn StorePorts)) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&format!("sqlite:{}/kennel.db", folder.path().display()), Mode::ReadWrite).await;
    check(&*store).await;
    store.close().await;
}

macro_rules! on_every_store {
    ($($group:ident: $($check:ident)*;)*) => {
        on_every_store!(@store memory, on_memory, $($group: $($check)*;)*);
        on_every_store!(@store sqlite, on_sqlite, $($group: $($check)*;)*);
        on_every_store!(@store postgres_server, on_postgres, $($group: $($check)*;)*);
    };
    (@store $store:ident, $run:ident, $($group:ident: $($check:ident)*;)*) => {
        mod $store {
            $($(
                #[tokio::test]
                async fn $check() {
                    super::$run(kennel_test_support::conformance::$group::$check).await;
                }
            )*)*
        }
    };
}

on_every_store! {
    log:
        appended_events_are_read
        the_store_gives_the_time_where_the_writer_does_not
        known_events_are_skipped
        a_wrong_version_writes_nothing
        invalid_events_are_rejected
        awkward_text_and_payloads_arrive_as_they_are
        scopes_are_combined_with_and
        pages_follow_one_another_without_gap
        ranges_divide_the_log_by_aggregate
        heavy_pages_are_cut_short
        long_rows_among_short_ones_are_read_in_order
        an_aggregate_of_many_events_keeps_its_order;
    witness:
        the_end_of_the_log_comes_with_its_event
        a_batch_moves_only_with_the_last_event_as_its_witness
        a_log_that_does_not_bear_a_checkpoint_out_is_found_out_and_accepted;
    documents:
        documents_and_checkpoint_move_together
        a_fenced_batch_writes_nothing
        a_zombie_is_fenced_range_by_range
        ranges_that_meet_are_moved_as_one
        a_changed_document_is_a_conflict
        increments_add_up
        delete_and_create_again_does_not_fool_a_reader
        scans_go_in_byte_order
        fetches_keep_the_order_of_what_was_wanted
        large_documents_are_read_and_added_to_a_few_at_a_time
        long_documents_among_short_ones_are_found_in_order
        dead_letters_are_kept_with_their_reason
        awkward_names_and_sizes_are_held
        large_batches_are_written_whole;
    deployments:
        components_are_kept_by_digest
        components_are_listed_with_those_who_use_them
        the_serving_code_is_not_deployed_again conditions_of_a_candidate_are_reported
        a_condition_has_the_time_since_when_its_reason_is_reported
        a_deployment_that_serves_has_the_conditions_of_its_role
        deployments_are_listed_by_replica_set_and_name
        progress_shows_state_and_last_failure;
    lifecycle:
        the_history_records_actor_operation_and_reason
        continuing_keeps_read_model_and_checkpoints
        a_rebuild_stands_beside_the_serving_deployment
        a_paused_projection_is_neither_claimed_nor_moved
        a_retired_projection_can_be_brought_back
        a_retired_and_dropped_projection_begins_anew
        only_changes_move_the_revision
        of_two_operations_one_wins
        a_projection_is_read_as_of_one_moment
        projections_are_listed_and_their_read_models_have_a_position
        workers_meet_the_status_that_the_rules_assign;
    cutovers:
        a_cutover_takes_two_steps
        it_has_caught_up_when_it_has_on_every_range
        an_aborted_cutover_changes_nothing
        operations_during_a_cutover_release_the_old_one
        a_manual_promotion_waits_for_the_operator
        a_rollback_brings_the_old_read_model_up_to_date_first
        garbage_collection_removes_deleting_read_models_and_nothing_else;
    workers:
        workers_join_beat_and_leave
        of_two_proposals_one_wins
        history_is_listed_newest_first
        stale_workers_are_removed_with_the_next_generation
        claims_need_the_current_generation
        checkpoints_split_and_meet_as_workers_come_and_go;
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_is_not_reported_again_expires_in_memory() {
    let pass = async || tokio::time::advance(limits::CONDITION_EXPIRES_AFTER).await;
    let store = MemoryStore::new();
    kennel_test_support::conformance::deployments::a_condition_that_is_not_reported_again_expires(
        &store, pass,
    )
    .await;
}
