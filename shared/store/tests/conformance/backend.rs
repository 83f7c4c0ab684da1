//! What a backend gives the suite, and the tests that it gets for it.

use async_trait::async_trait;
use offboard_domain::Digest;
use offboard_store::Store;

/// A backend under test. A server that is not there is a panic, never a pass.
#[async_trait]
pub(crate) trait Backend: Sized + Send {
    /// An empty store of its own.
    async fn fresh() -> Self;
    /// The store.
    fn store(&self) -> Store;
    /// Ends without any farewell, and starts on what was left.
    async fn restart(self) -> Self;
    /// Damages an artifact where it lies, behind the store's back; false
    /// where nobody can.
    async fn damage(&self, digest: Digest) -> bool;
}

/// One test for each law.
macro_rules! conformance {
    ($backend:ty) => {
        $crate::backend::conformance!($backend:
            law_01_put_twice_is_once,
            law_01_put_at_the_same_time_is_once,
            law_02_what_is_read_has_the_digest_that_was_asked_for,
            law_03_a_name_is_never_overwritten_with_other_content,
            law_03_of_racing_contents_one_stays,
            law_05_hostile_names_are_refused,
            law_06_what_was_put_survives_a_restart,
            law_07_listed_is_what_was_named,
            law_08_what_a_site_keeps_is_found_from_above_and_a_site_finds_its_own_alone,
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
