//! What a backend gives the suite, and the tests that it gets for it.

use async_trait::async_trait;
use offboard_domain::Timestamp;
use offboard_queue::{Queue, QueueName};
use std::sync::Arc;
use std::time::Duration;

/// A backend under test. A broker that is not there is a panic, never a pass.
#[async_trait]
pub(crate) trait Backend: Sized + Send {
    /// Whether what it confirmed survives its restart.
    const DURABLE: bool;
    /// A validity in which a message can be delivered and which can be waited
    /// out, in milliseconds.
    const SHORT_MS: i64;
    /// How long a law may take, the start of a broker included.
    const WITHIN: Duration;
    /// An empty queue of its own.
    async fn fresh() -> Self;
    /// The queue.
    fn queue(&self) -> Arc<dyn Queue>;
    /// Ends without any farewell, and starts on what was left.
    async fn restart(self) -> Self;
    /// The broker stops serving the consumers of a queue without a word to
    /// those who wait.
    async fn sever(&self, queue: &QueueName);
    /// What time it is for the broker.
    fn now(&self) -> Timestamp;
    /// Lets that much time pass for the broker.
    async fn pass(&self, ms: i64);
}

/// One test for each law, on one thread and on several: of all laws, of those
/// without a restart, of those with one.
macro_rules! conformance {
    ($backend:ty) => {
        $crate::backend::conformance!($backend, steady);
        $crate::backend::conformance!($backend, restarted);
    };
    ($backend:ty, restarted) => {
        $crate::backend::conformance!($backend:
            law_01_what_was_confirmed_outlives_a_restart_where_promised,
            law_03_what_was_acknowledged_stays_gone_after_a_restart,
        );
    };
    ($backend:ty, steady) => {
        $crate::backend::conformance!($backend:
            law_01_what_was_confirmed_is_delivered,
            law_02_what_was_not_acknowledged_returns_when_its_consumer_goes,
            law_02_a_delivery_dropped_or_given_back_returns,
            law_03_what_was_acknowledged_never_returns,
            law_04_prefetch_bounds_what_a_consumer_holds,
            law_04_a_changed_prefetch_bounds_what_comes_and_loses_nothing,
            law_05_headers_and_body_come_through_unchanged,
            law_06_a_consumer_that_silently_stopped_is_noticed,
            law_07_whatever_the_order_all_arrive,
            law_08_duplicates_are_delivered_and_a_redelivery_says_so,
            law_09_what_expired_is_not_delivered,
            law_10_what_was_buried_is_kept_with_its_reason,
            law_10_what_a_message_says_of_its_burial_counts_for_nothing,
            law_10_the_dead_can_be_consumed,
            law_10_those_that_are_wanted_are_found_among_all_others,
            a_dropped_next_loses_nothing,
            consumers_of_one_queue_share_it,
            many_publishers_and_consumers_lose_nothing,
            depths_say_what_is_held,
        );
    };
    ($backend:ty: $($law:ident),* $(,)?) => {
        $(
            mod $law {
                use $crate::backend::Backend as _;

                #[tokio::test]
                async fn on_one_thread() {
                    let law = $crate::laws::$law::<$backend>();
                    tokio::time::timeout(<$backend>::WITHIN, law).await.expect("in time");
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_several() {
                    let law = $crate::laws::$law::<$backend>();
                    tokio::time::timeout(<$backend>::WITHIN, law).await.expect("in time");
                }
            }
        )*
    };
}
pub(crate) use conformance;
