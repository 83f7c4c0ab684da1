//! What a workspace adds: an account that must be open for some of it, acts that
//! are accepted and shown nowhere, transfers that must not be ordered twice, and
//! phones that come when they like.

use crate::attempts::drive::{Desk, End, NEVER, his_names, setting};
use crate::attempts::fake::State;
use crate::attempts::fake::state::{CANARY, LEAVER, SUCCESSOR};
use crate::attempts::fake::workspace::{BOSS, HIS, MemberRow};
use offboard_domain::catalogue::apps::{NAMES, NAMES_MISSING, PROTECTED};
use offboard_domain::catalogue::workspace::{
    ARCHIVE_UNMADE, AT_ONCE, FORWARD, GRANT_MAIL, HOLD_WANTED, KINDS, KNOWN_DEVICES, RESOLVED_MS, TRANSFER_FILES,
};
use offboard_domain::estate::{self, Holding, Serial, Sighting};
use offboard_domain::{Facts, FaultClass, Find, Kind, Mode, ObjectId, Said, System, Verdict, judge};

fn his(state: &mut State) -> &mut MemberRow {
    state.office.members.get_mut(HIS).unwrap()
}

/// What looking him up means, and what is found.
async fn looked_up(edit: impl FnOnce(&mut State), params: Facts) -> (Verdict, Vec<Find>) {
    let (mut state, mut todo) = setting(Kind::ResolveInWorkspace);
    edit(&mut state);
    todo.params = params;
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("not read");
    };
    assert_eq!(desk.writes(), Vec::<String>::new());
    (judge(Kind::ResolveInWorkspace, &Facts::new(), &seen.facts, None), finds)
}

fn everything() -> Facts {
    his_names()
        .with("successor_is_manager", true)
        .with("reply", "gone")
        .with("reply_digest", "d")
        .with(FORWARD, true)
        .with(GRANT_MAIL, true)
        .with(TRANSFER_FILES, true)
}

fn of(finds: &[Find], kind: Kind) -> Option<&Facts> {
    finds.iter().find(|f| f.kind == kind).map(|f| &f.params)
}

#[tokio::test(start_paused = true)]
async fn what_is_found_is_of_the_pinned_account_and_names_nobody() {
    let (verdict, finds) = looked_up(|_| (), everything()).await;
    assert_eq!(verdict, Verdict::Satisfied);
    assert!(finds.iter().all(|f| f.object == ObjectId::from(HIS)));
    let kinds: Vec<Kind> = finds.iter().map(|f| f.kind).collect();
    let all = KINDS
        .iter()
        .filter(|k| !matches!(k, Kind::ResolveInWorkspace | Kind::SuspendAtOnce));
    assert_eq!(kinds, all.copied().collect::<Vec<_>>());
    assert_eq!(
        of(&finds, Kind::SetForwardingInWorkspace)
            .unwrap()
            .text("forward_to_id"),
        Some(BOSS)
    );
    assert_eq!(
        of(&finds, Kind::GrantMailInWorkspace).unwrap().text("successor_id"),
        Some(BOSS)
    );
    let transfer = of(&finds, Kind::TransferFiles).unwrap();
    assert_eq!(transfer.text("successor_id"), Some(BOSS));
    assert!(transfer.int(RESOLVED_MS).is_some());
    let stored = serde_json::to_string(&finds).unwrap();
    assert!(!stored.contains('@') && !stored.contains(LEAVER), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn an_immediate_departure_suspends_at_once_and_only_what_was_asked_for_is_found() {
    let (_, finds) = looked_up(|_| (), his_names().with(AT_ONCE, true).with(HOLD_WANTED, true)).await;
    assert!(of(&finds, Kind::SuspendAtOnce).is_some());
    for kind in [
        Kind::SuspendInWorkspace,
        Kind::SetReplyInWorkspace,
        Kind::GrantMailInWorkspace,
        Kind::TransferFiles,
    ] {
        assert!(of(&finds, kind).is_none(), "{kind}");
    }
    assert_eq!(of(&finds, Kind::SetForwardingInWorkspace), Some(&Facts::new()));
    for (kind, held) in [
        (Kind::ReleaseInWorkspace, "licence_ids"),
        (Kind::RemoveGroupsInWorkspace, "group_ids"),
    ] {
        let hold = of(&finds, kind).unwrap();
        let held = Facts::new()
            .with("object_exists", true)
            .with(held, vec!["P/1".to_owned()]);
        let verdict = judge(kind, hold, &held, None);
        assert!(
            matches!(verdict, Verdict::Blocked(why) if why.contains("Vault")),
            "{verdict:?}"
        );
    }
    let (_, finds) = looked_up(|_| (), his_names().with(ARCHIVE_UNMADE, true)).await;
    for kind in [Kind::ReleaseInWorkspace, Kind::RemoveGroupsInWorkspace] {
        assert_eq!(of(&finds, kind).unwrap().bool(ARCHIVE_UNMADE), Some(true), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_successor_who_cannot_be_used_is_a_problem_and_no_guess() {
    let problem = async |edit: fn(&mut State), named: Option<&str>| {
        let mut params = everything();
        if let Some(name) = named {
            params.set("successor_mail", name);
        }
        let (_, finds) = looked_up(edit, params).await;
        let forwarding = of(&finds, Kind::SetForwardingInWorkspace).unwrap();
        assert_eq!(forwarding.bool("forward_to_successor"), Some(true));
        let transfer = of(&finds, Kind::TransferFiles).unwrap();
        assert!(transfer.text("successor_id").is_none());
        transfer.text("successor_problem").unwrap().to_owned()
    };
    assert!(problem(|s| his(s).manager = None, None).await.contains("no manager"));
    assert!(problem(|_| (), Some("nobody@example.com")).await.contains("no account"));
    let own = format!("{LEAVER}@example.com");
    assert!(problem(|_| (), Some(&own)).await.contains("the leaver"));
    let suspend = |s: &mut State| s.office.members.get_mut(BOSS).unwrap().suspended = true;
    assert!(problem(suspend, None).await.contains("suspended"));
}

#[tokio::test(start_paused = true)]
async fn nobody_two_and_a_protected_account_are_not_touched() {
    let nobody = |s: &mut State| drop(s.office.members.remove(HIS));
    let (verdict, finds) = looked_up(nobody, his_names()).await;
    assert!(
        matches!(verdict, Verdict::NotApplicable(_)) && finds.is_empty(),
        "{verdict:?}"
    );
    let (verdict, _) = looked_up(nobody, his_names().with(NAMES_MISSING, true)).await;
    assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}");
    let both = [LEAVER, SUCCESSOR].map(|who| format!("{who}@example.com")).to_vec();
    let (verdict, finds) = looked_up(|_| (), Facts::new().with(NAMES, both)).await;
    assert!(matches!(verdict, Verdict::Blocked(why) if why.contains("different accounts")));
    assert!(finds.is_empty());
    for listed in [HIS.to_owned(), format!("{LEAVER}@example.com")] {
        let (verdict, finds) = looked_up(|_| (), his_names().with(PROTECTED, vec![listed])).await;
        assert!(matches!(verdict, Verdict::Blocked(why) if why.contains("protected accounts")));
        assert!(finds.is_empty());
    }
    for (other, says) in [
        (true, "whom no service may change"),
        (false, "the only super administrator"),
    ] {
        let administers = |s: &mut State| {
            his(s).administrator = true;
            s.office.members.get_mut(BOSS).unwrap().administrator = other;
        };
        let (verdict, finds) = looked_up(administers, his_names()).await;
        assert!(
            matches!(verdict, Verdict::Blocked(why) if why.contains(says)),
            "{verdict:?}"
        );
        assert!(finds.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_account_that_is_acted_for_is_never_written_to() {
    let acted_for = |s: &mut State| s.office.acting = Some(HIS.to_owned());
    let (verdict, finds) = looked_up(acted_for, his_names()).await;
    assert!(
        matches!(verdict, Verdict::Blocked(why) if why.contains("acts for")),
        "{verdict:?}"
    );
    assert!(finds.is_empty());
    // Nor where it was made that one after he was found.
    for kind in KINDS.iter().copied().filter(|k| k.spec().writes) {
        let (mut state, todo) = setting(kind);
        acted_for(&mut state);
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Fault { fault } = &report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert_eq!(fault.class, FaultClass::Blocked, "{kind}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_mailbox_does_is_on_the_record_before_any_of_it_is_changed() {
    for kind in [
        Kind::SetReplyInWorkspace,
        Kind::SetForwardingInWorkspace,
        Kind::GrantMailInWorkspace,
    ] {
        let (state, todo) = setting(kind);
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Progress { checkpoint } = &report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
        let [kept] = report.artifacts.as_slice() else {
            panic!("{kind}: {:?}", report.artifacts)
        };
        let bytes = desk.context.store.get(kept.digest).await.unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(kept["whole"]["filters"], serde_json::json!([CANARY]), "{kind}");
        let mut todo = todo;
        todo.checkpoint = Some(checkpoint.clone());
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
        assert_eq!(desk.writes().len(), 1, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_order_is_remembered_when_it_cannot_be_read() {
    let (state, todo) = setting(Kind::TransferFiles);
    let mut desk = Desk::new(state);
    // What was ordered is listed by nobody for very long.
    desk.fake.lock().lag_ms = 400 * 86_400_000;
    desk.fake.lock().reads_fail = 1;
    let report = desk.once(&todo).await;
    let Said::Wait { checkpoint, why, .. } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert!(why.contains("acknowledged"), "{why}");
    // Nothing is listed, and that is not taken for "it did not happen".
    let mut todo = todo;
    (todo.checkpoint, todo.mode) = (checkpoint.clone(), Mode::ObserveOnly);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("inconclusive")),
        "{end:?}"
    );
    assert_eq!(desk.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_was_made_an_administrator_meanwhile_is_not_written_to() {
    for kind in KINDS.iter().copied().filter(|k| k.spec().writes) {
        let (mut state, todo) = setting(kind);
        his(&mut state).administrator = true;
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Fault { fault } = &report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert_eq!(fault.class, FaultClass::Blocked, "{kind}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_too_late_for_a_suspended_account_says_so_and_fails_nothing() {
    for kind in [
        Kind::InvalidateBackupCodes,
        Kind::TurnOffSecondFactor,
        Kind::SetReplyInWorkspace,
    ] {
        let (mut state, todo) = setting(kind);
        his(&mut state).suspended = true;
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(
            matches!(&end, End::NotApplicable(why) if why.contains("suspended")),
            "{kind}: {end:?}"
        );
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
    // What somebody would miss is for a person.
    for kind in [Kind::SetForwardingInWorkspace, Kind::GrantMailInWorkspace] {
        let (mut state, todo) = setting(kind);
        his(&mut state).suspended = true;
        let mut desk = Desk::new(state.clone());
        let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
        assert!(
            matches!(&end, End::Asked(why) if why.contains("suspended")),
            "{kind}: {end:?}"
        );
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
    let (mut state, mut todo) = setting(Kind::SetForwardingInWorkspace);
    (his(&mut state).suspended, todo.params) = (true, Facts::new());
    let end = Desk::new(state).settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::NotApplicable(why) if why.contains("takes no mail")),
        "{end:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_factor_that_the_company_enforces_stays() {
    let (mut state, todo) = setting(Kind::TurnOffSecondFactor);
    his(&mut state).enforced = true;
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::NotApplicable(why) if why.contains("enforces")),
        "{end:?}"
    );
    assert_eq!(desk.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_gone_needs_no_more_but_his_files_and_phones_do() {
    for kind in KINDS.iter().copied().filter(|k| k.spec().writes) {
        let (mut state, todo) = setting(kind);
        state.office.members.remove(HIS);
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        let fine = match kind {
            Kind::TransferFiles => matches!(&end, End::Asked(why) if why.contains("Restore it")),
            Kind::HandOverSharedDrives => matches!(&end, End::Asked(why) if why.contains("without a manager")),
            // What was not looked at is not said to be none.
            Kind::WipeAccount => matches!(&end, End::Asked(why) if why.contains("looked at")),
            Kind::DisableLaptops => matches!(&end, End::Asked(why) if why.contains("Devices > Chrome")),
            _ => matches!(&end, End::NotApplicable(_)),
        };
        assert!(fine, "{kind}: {end:?}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_nowhere_counts_only_with_an_answer_of_this_attempt() {
    for kind in [Kind::ResetPasswordInWorkspace, Kind::SignOutInWorkspace] {
        let (state, mut todo) = setting(kind);
        // What an earlier attempt remembers is no answer.
        todo.checkpoint = Some(Facts::new().with("acknowledged", true));
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Satisfied { before, after } = &report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert_eq!(before.facts.bool("acknowledged"), Some(false), "{kind}");
        assert_eq!(after.facts.bool("acknowledged"), Some(true), "{kind}");
        assert!(report.receipts.iter().any(|r| r.request.starts_with("POST")), "{kind}");
        assert_eq!(desk.writes().len(), 1, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_of_before_is_not_this_ones_and_one_of_now_is_awaited() {
    let transfer = |at: i64, status| (HIS.to_owned(), BOSS.to_owned(), at, status);
    let (mut state, mut todo) = setting(Kind::TransferFiles);
    state.office.transfers.push(transfer(1_000, "completed"));
    todo.params.set(RESOLVED_MS, 86_400_000_i64);
    let mut desk = Desk::new(state.clone());
    desk.fake.clock.to(offboard_domain::Timestamp(86_500_000));
    let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes().len(), 1, "the files that came since go over too");
    // One that a person has begun by hand is awaited, and none is ordered.
    state.office.transfers.push(transfer(86_450_000, "inProgress"));
    let mut desk = Desk::new(state);
    desk.fake.clock.to(offboard_domain::Timestamp(86_500_000));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_failed_is_for_a_person_and_his_own_one_is_found() {
    let (mut state, todo) = setting(Kind::TransferFiles);
    state.office.transfers_fail = true;
    let mut desk = Desk::new(state);
    let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("Start it again")),
        "{end:?}"
    );
    assert_eq!(desk.writes().len(), 1);
    let now = desk.now().0;
    desk.fake.edit(|s| {
        s.office.transfers_fail = false;
        s.office.transfers.push((HIS.into(), BOSS.into(), now, "inProgress"));
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes().len(), 1, "it is never ordered again");
}

#[tokio::test(start_paused = true)]
async fn without_a_successor_no_file_moves() {
    let (state, mut todo) = setting(Kind::TransferFiles);
    todo.params = Facts::new();
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("no successor")),
        "{end:?}"
    );
    assert_eq!(desk.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_phone_whose_record_goes_unproven_is_for_a_person() {
    let (state, todo) = setting(Kind::WipeAccount);
    let mut desk = Desk::new(state.clone());
    let report = desk.once(&todo).await;
    let Said::Wait { checkpoint, .. } = report.said else {
        panic!("{:?}", report.said)
    };
    let mut todo = todo;
    todo.checkpoint = checkpoint;
    desk.fake.edit(|s| {
        s.office.handhelds.remove("p-2");
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("does not prove a wipe")),
        "{end:?}"
    );
    // Who has none, has none.
    let (mut state, todo) = setting(Kind::WipeAccount);
    state.office.handhelds.clear();
    let end = Desk::new(state).settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(&end, End::NotApplicable(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_laptop_that_is_not_his_any_more_is_left_alone_and_is_for_a_person() {
    for noted in [format!("{SUCCESSOR}@example.com"), String::new()] {
        let (state, mut todo) = setting(Kind::DisableLaptops);
        let mut desk = Desk::new(state);
        // Nothing came of the first attempt, and before the second one is given away.
        desk.fake.lock().next_faults = vec![(FaultClass::Transient, false)];
        let report = desk.once(&todo).await;
        assert!(matches!(report.said, Said::Fault { .. }), "{:?}", report.said);
        todo.checkpoint = report.remembered;
        desk.fake
            .edit(|s| s.office.laptops.get_mut("l-2").unwrap().0.clone_from(&noted));
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(
            matches!(&end, End::Asked(why) if why.contains("as nobody's now")),
            "{noted}: {end:?}"
        );
        assert_eq!(desk.writes(), ["Disable l-1"], "his own one is disabled");
    }
}

/// Where nobody has looked yet, nothing is said: whoever looks later compares.
#[tokio::test(start_paused = true)]
async fn his_laptops_are_compared_with_what_other_systems_have_seen() {
    let seen_elsewhere = |id: &str, serial: &str| Sighting {
        system: System::new("rmm").unwrap(),
        id: id.into(),
        serial: Serial::parse(serial),
        device_id: None,
        held: Holding::Remote,
    };
    for (others, word, only) in [
        (vec![], None, None),
        (
            vec![seen_elsewhere("41", "5cg1111"), seen_elsewhere("42", "5cg2222")],
            Some("remote"),
            Some(vec!["rmm/42".to_owned()]),
        ),
        (
            vec![seen_elsewhere("42", "5cg2222")],
            Some("unknown"),
            Some(vec!["rmm/42".to_owned()]),
        ),
    ] {
        let (state, mut todo) = setting(Kind::DisableLaptops);
        todo.params.0.extend(estate::told(&others).0);
        let end = Desk::new(state).settle(todo, &mut NEVER.clone()).await;
        let End::Settled(seen) = end else { panic!("{end:?}") };
        assert_eq!(seen.facts.text("elsewhere/l-1"), word);
        assert_eq!(seen.facts.text("elsewhere/l-2"), word.map(|_| "no_serial"));
        assert_eq!(seen.facts.list("only_elsewhere_ids"), only.as_deref());
    }
}

/// That there were none was read. Whoever has never looked does not say so.
#[tokio::test(start_paused = true)]
async fn who_was_read_to_have_no_laptop_has_none_when_his_account_is_gone() {
    for looked in [true, false] {
        let (mut state, mut todo) = setting(Kind::DisableLaptops);
        state.office.members.remove(HIS);
        state.office.deleted.insert(HIS.to_owned(), 5_000);
        if looked {
            todo.params.set(KNOWN_DEVICES, Vec::new());
        }
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        let fine = match &end {
            End::NotApplicable(_) => looked,
            End::Asked(_) => !looked,
            End::Settled(_) | End::Found(..) => false,
        };
        assert!(fine, "{looked}: {end:?}");
        assert_eq!(desk.writes(), Vec::<String>::new());
    }
}

/// What the next try is told is what was read last, and that names no laptop now.
#[tokio::test(start_paused = true)]
async fn the_laptops_that_were_his_are_remembered_while_his_account_is_missed() {
    let (mut state, mut todo) = setting(Kind::DisableLaptops);
    state.office.members.remove(HIS);
    todo.params.set(KNOWN_DEVICES, vec!["l-1".to_owned()]);
    todo.checkpoint = Some(Facts::new().with(KNOWN_DEVICES, vec!["l-2".to_owned()]));
    let report = Desk::new(state).once(&todo).await;
    let Said::Wait { checkpoint, .. } = report.said else {
        panic!("{:?}", report.said)
    };
    let known = ["l-1", "l-2"].map(str::to_owned);
    assert_eq!(checkpoint.unwrap().list(KNOWN_DEVICES), Some(&known[..]));
}

#[tokio::test(start_paused = true)]
async fn whose_a_laptop_is_is_read_right_before_it_is_disabled() {
    let (state, todo) = setting(Kind::DisableLaptops);
    let mut desk = Desk::new(state);
    let given_away = |s: &mut State| s.office.laptops.get_mut("l-2").unwrap().0.clear();
    desk.fake.lock().after_read = Some(("laptops", given_away));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("as nobody's now")),
        "{end:?}"
    );
    assert_eq!(desk.writes(), ["Disable l-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_shared_drive_that_only_he_manages_is_the_successors_to_manage_too() {
    let (mut state, todo) = setting(Kind::HandOverSharedDrives);
    // Of a suspended account as well.
    his(&mut state).suspended = true;
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes(), ["Manage d-1 w-boss", "Manage d-3 w-boss"]);
}

#[tokio::test(start_paused = true)]
async fn a_shared_drive_is_given_to_nobody_who_is_not_there() {
    let (mut state, todo) = setting(Kind::HandOverSharedDrives);
    state.office.members.get_mut(BOSS).unwrap().suspended = true;
    let mut desk = Desk::new(state.clone());
    let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("gone or suspended")),
        "{end:?}"
    );
    assert_eq!(desk.writes(), Vec::<String>::new());
    // Without a successor a person is asked, if there is a drive at all.
    let mut nobody = todo;
    nobody.params = Facts::new();
    let end = desk.settle(nobody.clone(), &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("another manager")),
        "{end:?}"
    );
    state.office.drives.clear();
    let end = Desk::new(state).settle(nobody, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
}
