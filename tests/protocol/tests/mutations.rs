//! The properties can fail: without each law the checker finds the run in
//! which one is broken.

#![expect(clippy::print_stdout, reason = "the run that breaks a law is worth reading")]

use offboard_protocol::property::{
    APPEND_TELLS, CLOSED_ONCE, CLOSED_TRUE, EVIDENCE, KEPT, LATE, LATE_IS_READ, NO_FORK, NOT_STUCK, ONCE, ORDER,
    REPORT_TELLS, all,
};
use offboard_protocol::protocol::Action;
use offboard_protocol::state::Fault;
use offboard_protocol::{Mutation, Protocol};
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::time::Duration;

/// No search may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Histories beyond this are not looked at.
const LONGEST: u8 = 9;

fn search(protocol: Protocol, property: &'static str) -> (usize, Option<Vec<Action>>) {
    let checker = protocol
        .checker()
        .threads(2)
        .timeout(LIMIT)
        .finish_when(HasDiscoveries::AnyOf([property].into()))
        .spawn_bfs()
        .join();
    let run = checker.discovery(property).map(stateright::Path::into_actions);
    (checker.unique_state_count(), run)
}

/// Without this law these faults break the property; with it they do not.
fn breaks(law: Mutation, faults: &[Fault], property: &'static str) {
    let most = u32::try_from(faults.len()).expect("few faults");
    let protocol = Protocol::new(faults, most).up_to(LONGEST);
    let (_, with) = search(protocol.clone(), property);
    assert!(
        with.is_none(),
        "with {law:?} it does not hold that {property}: {with:#?}"
    );
    let (states, without) = search(protocol.without(law), property);
    let run = without.unwrap_or_else(|| panic!("without {law:?} it still holds that {property}"));
    println!("{law:?}, after {states} states, {property}: {run:#?}");
}

macro_rules! mutations {
    ($($test:ident: $law:ident with [$($fault:ident),*] breaks $property:ident;)*) => {
        $(#[test]
        fn $test() {
            breaks(Mutation::$law, &[$(Fault::$fault),*], $property);
        })*

        /// What is broken without this law; each has its test.
        fn broken_by(law: Mutation) -> &'static str {
            match law {
                $(Mutation::$law => $property,)*
            }
        }

        #[test]
        fn every_property_can_fail() {
            let broken = [$(broken_by(Mutation::$law)),*];
            let always = all().into_iter().filter(|p| p.expectation == Expectation::Always);
            for property in always {
                assert!(broken.contains(&property.name), "no mutation breaks that {}", property.name);
            }
        }
    };
}

mutations! {
    append_ignores_prev_hash: AppendIgnoresPrevHash with [TailLost] breaks NO_FORK;
    last_writer_wins: LastWriterWins with [Duplicates] breaks KEPT;
    acknowledges_after_applying: AckAfterApply with [Duplicates] breaks ONCE;
    carries_out_redelivered: CarriesOutRedelivered with [Duplicates] breaks ONCE;
    writes_after_its_time: WritesAfterItsTime with [RunsOutOfTime] breaks ONCE;
    no_observe_first: NoObserveFirst with [WorkerDies, ReadingLags] breaks ONCE;
    reads_before_its_time: ReadsBeforeItsTime with [Duplicates] breaks ONCE;
    republishes_once: RepublishesOnce with [ShardMoves] breaks ONCE;
    trusts_reports: TrustReport with [WriteSwallowed] breaks ORDER;
    ignores_dependencies: IgnoresDependency with [] breaks ORDER;
    late_report_settles: LateReportSettles with [RunsOutOfTime] breaks LATE;
    reading_outdoes_late_report:
        ReadingOutdoesLateReport with [WriteSwallowed, RunsOutOfTime] breaks LATE_IS_READ;
    ignores_report_from_ahead: IgnoresReportFromAhead with [TailLost] breaks REPORT_TELLS;
    ignores_differences: IgnoresDifference with [Undone] breaks CLOSED_TRUE;
    seals_without_version: SealWithoutVersion with [TailLost] breaks CLOSED_ONCE;
    closes_again: ClosesAgain with [SealUnanswered] breaks CLOSED_ONCE;
    records_before_put: RecordsBeforePut with [] breaks EVIDENCE;
    never_runs_out: NeverRunsOut with [BrokerEmptied] breaks NOT_STUCK;
    seal_by_version_alone: SealByVersionAlone with [TailLost] breaks CLOSED_ONCE;
    loss_by_version_alone: LossByVersionAlone with [TailLost] breaks APPEND_TELLS;
    reads_at_once_after_loss: ReadsAtOnceAfterLoss with [TailLost] breaks ONCE;
    failure_forgets_to_observe:
        FailureForgetsToObserve with [BrokerEmptied, WorkerDies, ReadingLags] breaks ONCE;
    retry_does_not_wait: RetryDoesNotWait with [Duplicates] breaks ONCE;
    sealing_never_looks: SealingNeverLooks with [TailLost] breaks NOT_STUCK;
    publishes_what_others_ordered:
        PublishesWhatOthersOrdered with [WorkerDies, PublishFails, ShardMoves, Duplicates] breaks ONCE;
}
