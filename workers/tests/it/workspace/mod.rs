//! Whole departures from a workspace: the case decides, a worker's attempts act
//! through the real connector, over HTTP, on a workspace that lags, throttles,
//! fails after it has done what it was asked for, and cuts connections.

mod desk;

use desk::{Desk, LEAVER, SUCCESSOR, address};
use offboard_domain::departure::{Forwarding, Manner};
use offboard_domain::{Kind, Outcome, Rule};
use offboard_sim::world::workspace::{WorkspaceGroupSort, WorkspaceHabits, WorkspaceUser};

/// The leaver's account when everything was done.
fn is_ended(user: &WorkspaceUser) {
    assert!(user.suspended && user.passwords > 0 && user.sign_outs > 0);
    assert!(user.grants.is_empty() && user.app_passwords.is_empty());
}

/// Where a line of the journal begins with this.
fn at(journal: &[String], what: &str) -> usize {
    let found = journal.iter().position(|line| line.starts_with(what));
    found.unwrap_or_else(|| panic!("no '{what}' in {journal:#?}"))
}

#[tokio::test]
async fn a_planned_departure_closes_the_account_from_the_inside() {
    let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Planned, |policy| {
        policy.forwarding = Forwarding::Successor;
        policy.automatic_reply = Some("Gone & not back.\nAsk the desk.".into());
    })
    .await;
    desk.run().await;
    let rows = desk.rows();
    let user = &rows.users[LEAVER];
    is_ended(user);
    assert!(user.codes.is_empty() && !user.second_factor && user.licences.is_empty());
    assert_eq!(user.mailbox.forwards, Some((address("berta"), "leaveInInbox".into())));
    assert!(user.mailbox.delegates.contains(&address("berta")));
    assert!(user.mailbox.reply.is_some() && user.mailbox.filters.len() == 1);
    assert!(rows.groups_of(LEAVER).is_empty());
    assert_eq!(rows.transfers.len(), 1);
    assert_eq!(rows.laptops["c1"].status, "DISABLED");
    assert_eq!((rows.phones["p1"].told, rows.phones["p3"].told), (1, 0));
    let journal = desk.journal();
    let order = [
        "password",
        "sign out",
        "token",
        "codes",
        "second factor",
        "suspend",
        "transfer",
        "leave",
        "licence",
    ];
    let places = order.map(|what| at(&journal, what));
    assert!(places.is_sorted(), "{journal:#?}");
    for mail in ["reply", "forward", "delegate", "filter", "asp"] {
        assert!(at(&journal, mail) < at(&journal, "suspend"), "{mail}: {journal:#?}");
    }
    for kind in [Kind::ResetPasswordInWorkspace, Kind::SignOutInWorkspace] {
        assert_eq!(desk.outcome(kind), Some(Outcome::Acknowledged), "{kind}");
    }
    let verified = Kind::ResolveInWorkspace.spec().finds.iter().copied();
    for kind in verified.filter(|k| {
        !matches!(
            k,
            // Shared drives are handed over where the tenant's configuration says so.
            Kind::ResetPasswordInWorkspace
                | Kind::SignOutInWorkspace
                | Kind::SuspendAtOnce
                | Kind::HandOverSharedDrives
        )
    }) {
        assert_eq!(desk.outcome(kind), Some(Outcome::Verified), "{kind}");
    }
    desk.nobody_else_was_touched();
}

#[tokio::test]
async fn whoever_confirms_is_told_of_shared_drives_that_nobody_looks_at() {
    let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Planned, |_| ()).await;
    desk.run_until(|d| d.outcome(Kind::TransferFiles).is_some()).await;
    assert_eq!(desk.outcome(Kind::ConfirmHandover), None, "the files come first");
    let asked = desk.asked_of_folders(Kind::ConfirmHandover).unwrap();
    assert!(
        asked.contains("Manage shared drives") && !asked.contains("SharePoint"),
        "{asked}"
    );
    desk.run().await;
    let said = desk.outcome(Kind::ConfirmHandover);
    assert!(matches!(said, Some(Outcome::Attested { .. })), "{said:?}");
    // Where they are looked at, nothing is left out.
    let mut desk = Desk::open(WorkspaceHabits::default(), Manner::Planned, true, |_| ()).await;
    desk.run_until(|d| d.outcome(Kind::Resolve).is_some()).await;
    assert_eq!(desk.asked_of_folders(Kind::ConfirmHandover), None);
}

#[tokio::test]
async fn an_immediate_departure_cuts_access_first_and_says_what_came_too_late() {
    let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Immediate, |policy| {
        policy.automatic_reply = Some("Gone.".into());
    })
    .await;
    let opened = desk.now();
    desk.run_until(|d| d.rows().users[LEAVER].suspended).await;
    assert!(
        desk.now().since(opened) < 60_000,
        "in seconds, and before anybody approved"
    );
    let journal = desk.journal();
    assert!(journal.iter().all(|l| !l.starts_with("reply")), "{journal:#?}");
    desk.run_until(Desk::is_at_rest).await;
    is_ended(&desk.rows().users[LEAVER]);
    for (kind, says) in [
        (Kind::InvalidateBackupCodes, "is suspended"),
        (Kind::TurnOffSecondFactor, "is suspended"),
        (Kind::SetReplyInWorkspace, "takes no mail"),
        (Kind::SetForwardingInWorkspace, "takes no mail"),
    ] {
        match desk.outcome(kind) {
            Some(Outcome::NotApplicable { reason }) => assert!(reason.contains(says), "{kind}: {reason}"),
            // In time, which nothing promises.
            other => assert_eq!(other, Some(Outcome::Verified), "{kind}"),
        }
    }
    // What the successor would miss is a person's to decide.
    let failed = desk.failed();
    assert_eq!(failed, [(Kind::GrantMailInWorkspace, Rule::BlockedByPolicy)]);
    desk.waive(Kind::GrantMailInWorkspace);
    desk.run().await;
    desk.nobody_else_was_touched();
}

#[tokio::test]
async fn whatever_goes_wrong_on_the_way_it_ends_as_it_should() {
    for seed in 0..12_u64 {
        let habits = WorkspaceHabits {
            lag_ms: [0, 3_000, 45_000][usize::try_from(seed % 3).unwrap()],
            numbers: seed % 2 == 0,
            page_max: 1,
            token_s: 300,
            ..WorkspaceHabits::default()
        };
        let mut desk = Desk::new(habits, Manner::Planned, |_| ()).await;
        desk.misfortunes(seed);
        desk.run().await;
        let rows = desk.rows();
        let user = &rows.users[LEAVER];
        is_ended(user);
        assert!(user.codes.is_empty() && !user.second_factor, "seed {seed}");
        assert!(
            rows.groups_of(LEAVER).is_empty() && user.licences.is_empty(),
            "seed {seed}"
        );
        assert_eq!(rows.transfers.len(), 1, "seed {seed}: ordered once");
        desk.nobody_else_was_touched();
    }
}

#[tokio::test]
async fn a_transfer_whose_answer_is_lost_is_not_ordered_again() {
    for happened in [true, false] {
        let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Planned, |_| ()).await;
        desk.order("POST /admin/datatransfer", None, happened);
        desk.run().await;
        assert_eq!(desk.rows().transfers.len(), 1, "happened: {happened}");
        assert_eq!(desk.outcome(Kind::TransferFiles), Some(Outcome::Verified));
    }
}

#[tokio::test]
async fn a_transfer_without_an_answer_is_not_ordered_again_because_lists_lag() {
    let habits = WorkspaceHabits {
        lag_ms: 45 * 60_000,
        ..WorkspaceHabits::default()
    };
    // What reads so late is suspended before its mail settings read as set.
    let mut desk = Desk::new(habits, Manner::Planned, |policy| {
        policy.skip = [Kind::SetForwardingInWorkspace, Kind::GrantMailInWorkspace].into();
    })
    .await;
    desk.order("POST /admin/datatransfer", None, true);
    desk.run().await;
    assert_eq!(desk.rows().transfers.len(), 1);
    assert_eq!(desk.outcome(Kind::TransferFiles), Some(Outcome::Verified));
}

#[tokio::test]
async fn tokens_that_keep_failing_keep_no_account_open_and_go_from_a_suspended_one() {
    for (manner, longest_ms) in [(Manner::Immediate, 60_000), (Manner::Planned, 2 * 3_600_000)] {
        let mut desk = Desk::new(WorkspaceHabits::default(), manner, |_| ()).await;
        let opened = desk.now();
        for _ in 0..400 {
            desk.order("/tokens", Some((503, "backendError")), false);
        }
        desk.run_until(|d| d.rows().users[LEAVER].suspended).await;
        let took_ms = desk.now().since(opened);
        assert!(took_ms < longest_ms, "{manner:?}: {took_ms}");
        assert!(!desk.rows().users[LEAVER].grants.is_empty());
        // Google is well again.
        desk.recover();
        // What came too late for an open account is a person's.
        desk.run_until(Desk::is_at_rest).await;
        assert_eq!(
            desk.failed(),
            [(Kind::GrantMailInWorkspace, Rule::BlockedByPolicy)],
            "{manner:?}"
        );
        desk.waive(Kind::GrantMailInWorkspace);
        desk.run().await;
        is_ended(&desk.rows().users[LEAVER]);
        assert_eq!(desk.outcome(Kind::RevokeTokensInWorkspace), Some(Outcome::Verified));
    }
}

#[tokio::test]
async fn what_google_lets_nobody_do_is_for_a_person_and_holds_back_no_suspension() {
    let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Planned, |_| ()).await;
    desk.edit(|rows| {
        rows.users.get_mut(LEAVER).unwrap().advanced_protection = true;
        rows.sorts.insert("g2".into(), WorkspaceGroupSort::Dynamic);
        rows.users
            .get_mut(LEAVER)
            .unwrap()
            .licences
            .insert("Google-Apps/1010020020".into(), true);
    });
    desk.run_until(Desk::is_at_rest).await;
    assert!(desk.rows().users[LEAVER].suspended);
    let blocked = desk.failed();
    let kinds = [Kind::TurnOffSecondFactor, Kind::RemoveGroupsInWorkspace];
    assert_eq!(blocked, kinds.map(|k| (k, Rule::BlockedByPolicy)));
    assert_eq!(desk.rows().groups_of(LEAVER), ["g2"], "the others are left");
    // A person does it by hand and has it looked at again.
    desk.edit(|rows| rows.groups.get_mut("g2").unwrap().retain(|m| m != LEAVER));
    desk.retry();
    desk.run_until(Desk::is_at_rest).await;
    assert!(matches!(
        desk.outcome(Kind::TurnOffSecondFactor),
        Some(Outcome::NotApplicable { .. })
    ));
    assert_eq!(desk.failed(), [(Kind::ReleaseInWorkspace, Rule::BlockedByPolicy)]);
    desk.edit(|rows| rows.users.get_mut(LEAVER).unwrap().licences.clear());
    desk.retry();
    desk.run().await;
}

#[tokio::test]
async fn who_opens_the_account_again_is_seen_before_anything_is_sealed() {
    let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Planned, |_| ()).await;
    desk.run_until(|d| d.outcome(Kind::ReleaseInWorkspace).is_some()).await;
    desk.edit(|rows| rows.users.get_mut(LEAVER).unwrap().suspended = false);
    desk.run().await;
    let user = desk.rows().users[LEAVER].clone();
    assert!(user.suspended);
    assert_eq!(
        (user.passwords, user.sign_outs),
        (2, 2),
        "what must follow it is done again"
    );
}

/// By its id, whoever it is noted as by then, and whether his account is still there.
#[tokio::test]
async fn a_laptop_that_is_enabled_again_is_seen_before_anything_is_sealed() {
    let settled = async || {
        let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Planned, |_| ()).await;
        desk.run_until(|d| d.outcome(Kind::ReleaseInWorkspace).is_some()).await;
        desk.edit(|rows| rows.laptops.get_mut("c1").unwrap().status = "ACTIVE".to_owned());
        desk
    };
    let disabled = |d: &Desk| d.journal().iter().filter(|line| *line == "disable c1").count();
    let mut desk = settled().await;
    desk.run().await;
    assert_eq!(
        (desk.rows().laptops["c1"].status.as_str(), disabled(&desk)),
        ("DISABLED", 2)
    );
    for deleted in [false, true] {
        let mut desk = settled().await;
        let now_ms = desk.now().0;
        desk.edit(|rows| match deleted {
            true => rows.delete_user(LEAVER, now_ms),
            false => rows.laptops.get_mut("c1").unwrap().noted = address("berta"),
        });
        desk.run_until(|d| !d.failed().is_empty()).await;
        assert_eq!(desk.failed(), [(Kind::DisableLaptops, Rule::BlockedByPolicy)]);
        let says = if deleted {
            "has been deleted since"
        } else {
            "as somebody else's"
        };
        let detail = desk.detail(Kind::DisableLaptops);
        assert!(detail.contains(says), "{detail}");
        assert_eq!(disabled(&desk), 1, "what may be somebody else's is not touched");
        desk.waive(Kind::DisableLaptops);
        desk.run().await;
    }
}

/// With the account goes what its laptops and phones are found by.
#[tokio::test]
async fn who_deletes_the_account_of_a_settled_departure_holds_its_closing_up_for_nothing() {
    let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Planned, |_| ()).await;
    desk.run_until(|d| d.outcome(Kind::ReleaseInWorkspace).is_some()).await;
    let devices = [Kind::DisableLaptops, Kind::WipeAccount];
    let proven = |d: &Desk| devices.map(|kind| d.outcome(kind));
    assert_eq!(proven(&desk), [Some(Outcome::Verified), Some(Outcome::Verified)]);
    let (now_ms, written) = (desk.now().0, desk.journal());
    desk.edit(|rows| rows.delete_user(LEAVER, now_ms));
    desk.run().await;
    assert_eq!(proven(&desk), [Some(Outcome::Verified), Some(Outcome::Verified)]);
    assert_eq!(desk.journal(), written, "nothing was opened again");
}

#[tokio::test]
async fn an_administrator_and_a_protected_account_are_never_written_to() {
    // The last one, whom the plan refuses; one of two, whom the finder does; and a
    // protected account.
    for (administrators, protected) in [(1, false), (2, false), (0, true)] {
        let mut desk = Desk::new(WorkspaceHabits::default(), Manner::Immediate, |policy| {
            policy.protected = protected.then(|| LEAVER.to_owned()).into_iter().collect();
        })
        .await;
        desk.edit(|rows| {
            for id in [LEAVER, SUCCESSOR].into_iter().take(administrators) {
                rows.users.get_mut(id).unwrap().administrator = true;
            }
        });
        desk.run_until(Desk::is_at_rest).await;
        if administrators == 2 {
            assert_eq!(desk.failed(), [(Kind::ResolveInWorkspace, Rule::BlockedByPolicy)]);
            assert!(desk.detail(Kind::ResolveInWorkspace).contains("super administrator"));
        } else {
            assert!(desk.is_refused());
        }
        assert_eq!(desk.journal(), Vec::<String>::new());
    }
}
