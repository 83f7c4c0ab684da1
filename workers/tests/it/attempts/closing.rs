//! What the closing round's reading owes: it reads all, writes nothing, and believes that an
//! account is gone only after it has not shown for long enough.

use crate::attempts::drive::{Desk, setting};
use crate::attempts::fake::state::LEAVER;
use crate::attempts::fake::{State, system};
use offboard_domain::{Assignment, Check, Facts, Kind, Lane, ObjectId, Report, Said, Target, TaskId};
use offboard_workers::attempt;

pub(super) fn round(desk: &Desk, kinds: &[Kind]) -> Assignment {
    let (_, todo) = setting(Kind::HideFromAddressLists);
    let mut assignment = desk.assignment(&todo);
    assignment.kind = Kind::ObserveMailbox;
    assignment.target.object = Some("round-1".into());
    for kind in kinds {
        let (_, todo) = setting(*kind);
        let object = todo.object.map(ObjectId::from);
        assignment.checks.push(Check {
            task: TaskId::derive(assignment.case, kind.name(), &system(), object.as_ref()),
            kind: *kind,
            target: Target {
                system: system(),
                object,
            },
            params: todo.params,
        });
    }
    assignment
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_reads_all_and_writes_nothing() {
    let desk = Desk::new(State::rich());
    let kinds = [
        Kind::BlockProtocols,
        Kind::HideFromAddressLists,
        Kind::RemoveInboxRules,
        Kind::SetForwarding,
        Kind::HoldMailbox,
    ];
    let assignment = round(&desk, &kinds);
    let Report { said, receipts, .. } = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    let Said::Checked { results } = said else {
        panic!("{said:?}")
    };
    let ordered: Vec<TaskId> = assignment.checks.iter().map(|c| c.task).collect();
    assert_eq!(results.iter().map(|r| r.task).collect::<Vec<_>>(), ordered);
    assert!(!receipts.is_empty());
    assert!(desk.writes().is_empty() && desk.fake.lock().trespasses == 0);
    assert_eq!(desk.fake.now(), State::rich());
    // One that cannot be read is the answer of the whole.
    let mut assignment = round(&desk, &kinds);
    assignment.checks[1].kind = Kind::ConfirmHandover;
    let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    assert!(matches!(report.said, Said::Fault { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_gone_is_believed_when_it_has_not_shown_for_an_hour() {
    for comes_back in [false, true] {
        let desk = Desk::new(State::rich());
        let mut assignment = round(&desk, &[Kind::DisableSignIn, Kind::ResetPassword]);
        assignment.kind = Kind::ObserveIdentity;
        let account = desk.fake.now().accounts[LEAVER].clone();
        desk.fake.edit(|s| drop(s.accounts.remove(LEAVER)));
        let began = desk.now();
        let results = loop {
            match attempt(&assignment, Lane::Normal, false, &desk.context).await.said {
                Said::Wait { until, checkpoint, .. } => {
                    assert!(desk.now().since(began) < 2 * 3_600_000, "it is waited for ever");
                    desk.fake.clock.to(until);
                    assignment.start_by = until.plus(60_000);
                    assignment.checkpoint = checkpoint;
                    if comes_back {
                        desk.fake
                            .edit(|s| drop(s.accounts.insert(LEAVER.into(), account.clone())));
                    }
                }
                Said::Checked { results } => break results,
                other => panic!("{other:?}"),
            }
        };
        let gone = |facts: &Facts| facts.bool("account_gone") == Some(true);
        assert!(
            results.iter().all(|r| gone(&r.observation.facts) != comes_back),
            "{results:?}"
        );
        assert_eq!(desk.now().since(began) >= 3_600_000, !comes_back);
    }
}

/// Nor is it by two looks, however far apart: what nobody saw in between counts for half an
/// hour at most.
#[tokio::test(start_paused = true)]
async fn an_account_is_not_gone_because_it_did_not_show_twice_an_hour_apart() {
    for (apart_ms, looks) in [
        (10 * 60_000, 7),
        (25 * 60_000, 4),
        (60 * 60_000, 3),
        (24 * 3_600_000, 3),
    ] {
        let desk = Desk::new(State::rich());
        let mut assignment = round(&desk, &[Kind::DisableSignIn]);
        assignment.kind = Kind::ObserveIdentity;
        desk.fake.edit(|s| drop(s.accounts.remove(LEAVER)));
        for look in 1..=looks {
            let said = attempt(&assignment, Lane::Normal, false, &desk.context).await.said;
            let believed = matches!(said, Said::Checked { .. });
            assert_eq!(believed, look == looks, "{apart_ms}, look {look}: {said:?}");
            if let Said::Wait { checkpoint, .. } = said {
                assignment.checkpoint = checkpoint;
            }
            desk.fake.clock.to(desk.now().plus(apart_ms));
            assignment.start_by = desk.now().plus(60_000);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_too_wants_two_agreeing_readings_of_a_conversion() {
    let desk = Desk::new(State::shared());
    let mut assignment = round(&desk, &[Kind::HideFromAddressLists, Kind::ConvertToShared]);
    let first = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    let Said::Wait { until, checkpoint, .. } = first.said else {
        panic!("{:?}", first.said)
    };
    desk.fake.clock.to(until);
    assignment.checkpoint = checkpoint;
    let second = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    let Said::Checked { results } = second.said else {
        panic!("{:?}", second.said)
    };
    assert_eq!(results[1].observation.facts.int("agreed_for_ms"), Some(60_000));
    // Undone in the meantime: it is said at once.
    desk.fake
        .edit(|s| s.mailbox.as_mut().unwrap().recipient_type = "UserMailbox".into());
    let third = attempt(
        &round(&desk, &[Kind::ConvertToShared]),
        Lane::Normal,
        false,
        &desk.context,
    )
    .await;
    assert!(matches!(third.said, Said::Checked { .. }), "{:?}", third.said);
}
