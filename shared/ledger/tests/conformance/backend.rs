//! What a backend gives the suite, and the tests that it gets for it.

use async_trait::async_trait;
use offboard_domain::{CaseId, TenantId};
use offboard_ledger::Ledger;
use std::sync::Arc;

/// A backend under test. A server that is not there is a panic, never a pass.
#[async_trait]
pub(crate) trait Backend: Sized + Send {
    /// An empty ledger of its own.
    async fn fresh() -> Self;
    /// The ledger.
    fn ledger(&self) -> Arc<dyn Ledger>;
    /// Ends without any farewell, and starts on what was left.
    async fn restart(self) -> Self;
    /// Restarts on what is left when the store lost the last append of a case.
    async fn lose_last_append(self, tenant: &TenantId, case: CaseId) -> Self;
}

/// One test for each law. A backend whose restarts would disturb others that
/// run at the same time gives a second one, of its own, for those that restart.
macro_rules! conformance {
    ($backend:ty) => {
        $crate::backend::conformance!($backend, $backend);
    };
    ($backend:ty, $alone:ty) => {
        $crate::backend::conformance!($backend:
            law_01_the_same_bytes_come_back_in_order,
            law_02_a_wrong_version_writes_nothing,
            law_03_an_append_is_written_whole_or_not_at_all,
            law_03_an_append_that_contradicts_itself_is_refused_whole,
            law_04_of_two_at_one_version_one_wins,
            law_04_losers_that_decide_again_all_get_in,
            law_05_a_repeated_append_is_ours,
            law_06_a_gap_is_noticed,
            law_07_tenants_cannot_see_each_other,
            law_08_due_equals_what_the_last_append_said,
            law_08_list_equals_what_the_last_append_said,
            law_08_a_wake_is_rearmed_without_an_event,
            law_11_a_subject_is_claimed_by_one_open_case,
            law_11_of_racing_claims_one_wins,
            law_12_the_cap_holds_under_racing_appends,
            law_13_a_trimmed_case_is_erased_like_any_other,
            law_14_a_shard_has_one_owner_at_a_time,
            law_15_only_what_is_archived_is_trimmed,
            law_16_a_gate_is_only_shut_for_longer_unless_it_is_opened,
            law_17_what_hangs_on_a_gate_is_changed_only_while_it_stands_so,
            gates_are_kept_and_opened,
        );
        $crate::backend::conformance!($alone:
            law_06_a_lost_tail_is_noticed,
            law_09_records_of_unknown_versions_survive_unread,
            law_10_what_was_acknowledged_survives_a_restart,
            law_13_a_destroyed_key_does_not_come_back,
            law_15_a_trimmed_case_keeps_its_place,
            law_15_a_trimmed_case_goes_on,
        );
    };
    ($backend:ty: $($law:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let within = std::time::Duration::from_secs(300);
                tokio::time::timeout(within, $crate::laws::$law::<$backend>()).await.expect("within a minute");
            }
        )*
    };
}
pub(crate) use conformance;
