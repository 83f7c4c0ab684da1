//! Accounts: found by every name, pinned by id, and changed alone.

use crate::google::stage::{CANARY, LEAVER, STRANGER, SUCCESSOR, Stage, address, quiet};
use offboard_connectors::google::GoogleConnector;
use offboard_connectors::{Directory, Found, Known, Member, MemberChange, MemberHolds, Workspace};
use offboard_domain::departure::PersonRef;
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::workspace::{WorkspaceGroupSort, WorkspaceHabits, WorkspaceUser};

fn by_names(names: &[&str]) -> Known {
    Known {
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        ..Known::default()
    }
}

async fn find(google: &GoogleConnector, s: &Stage, who: &Known) -> Vec<Member> {
    Workspace::find(google, &mut s.reading(), who).await.unwrap()
}

fn ids(found: &[Member]) -> Vec<&str> {
    found.iter().map(|m| m.id.0.as_str()).collect()
}

#[tokio::test]
async fn he_is_found_by_every_name_and_nobody_else_is() {
    let alias = format!("{CANARY}@EXAMPLE.org");
    for habits in [
        WorkspaceHabits::default(),
        WorkspaceHabits {
            loose_search: true,
            page_max: 1,
            ..WorkspaceHabits::default()
        },
        WorkspaceHabits {
            numbers: true,
            ..WorkspaceHabits::default()
        },
    ] {
        let s = Stage::with(habits).await;
        let google = s.open();
        for names in [
            vec![address("anna")],
            vec![alias.clone()],
            vec![address("ANNA"), alias.clone()],
        ] {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let found = find(&google, &s, &by_names(&names)).await;
            assert_eq!(ids(&found), [LEAVER], "{habits:?}");
        }
        let by_number = Known {
            employee_id: Some("4711".into()),
            ..by_names(&["a sign-in name without an address"])
        };
        let found = find(&google, &s, &by_number).await;
        assert_eq!(ids(&found), [LEAVER], "not the stranger of the same number");
        // Names that disagree lead to two, and so to a person.
        let both = by_names(&[&address("anna"), &address("berta")]);
        let found = find(&google, &s, &both).await;
        assert_eq!(ids(&found), [LEAVER, SUCCESSOR]);
        // Another company's are not seen, by whatever name.
        let theirs = by_names(&[&address("anna.x"), &format!("{CANARY}@example.net")]);
        assert!(find(&google, &s, &theirs).await.is_empty());
        assert_eq!(s.journal(), Vec::<String>::new(), "reading writes nothing");
    }
}

#[tokio::test]
async fn a_hostile_name_finds_nobody_but_its_owner() {
    let s = Stage::new().await;
    let google = s.open();
    for name in [
        "x' isAdmin=true '@example.com",
        r"back\slash\'@example.com",
        "a&customer=C99#@example.com",
        "line\nbreak@example.com",
        "ünï+tag@example.com",
        "../users/1002?x=@example.com",
    ] {
        let found = find(&google, &s, &by_names(&[name])).await;
        assert!(found.is_empty(), "{name}");
        s.edit(|rows| drop(rows.users.insert("77".into(), WorkspaceUser::of("C01", name))));
        let found = find(&google, &s, &by_names(&[name])).await;
        assert_eq!(ids(&found), ["77"], "{name}");
        s.edit(|rows| drop(rows.users.remove("77")));
    }
}

#[tokio::test]
async fn each_change_changes_that_account_and_nothing_else_of_it() {
    type Case = (fn() -> MemberChange, &'static str, fn(&WorkspaceUser) -> bool);
    let cases: [Case; 5] = [
        (
            || MemberChange::Password("kanarienvogel-pass".into()),
            "password 1001",
            |u| u.passwords == 1,
        ),
        (|| MemberChange::SignOut, "sign out 1001", |u| u.sign_outs == 1),
        (
            || MemberChange::InvalidateBackupCodes,
            "codes 1001",
            |u| u.codes.is_empty(),
        ),
        (
            || MemberChange::TurnOffSecondFactor,
            "second factor 1001",
            |u| !u.second_factor,
        ),
        (|| MemberChange::Suspend, "suspend 1001", |u| u.suspended),
    ];
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    let before = s.rows();
    for (change, effect, is_so) in cases {
        assert!(!is_so(&s.rows().users[LEAVER]), "{effect}");
        let mut call = s.reading();
        let fault = google.change(&mut call, &id, &change()).await.unwrap_err();
        assert_eq!((fault.class, call.writes_sent()), (FaultClass::Rejected, 0), "{effect}");
        google.change(&mut s.writing(), &id, &change()).await.unwrap();
        assert!(is_so(&s.rows().users[LEAVER]), "{effect}");
        assert_eq!(s.journal().last().map(String::as_str), Some(effect));
    }
    let mut after = s.rows();
    after.users.remove(LEAVER);
    let mut others = before;
    others.users.remove(LEAVER);
    assert_eq!(after, others);
    // Suspended twice is suspended.
    google
        .change(&mut s.writing(), &id, &MemberChange::Suspend)
        .await
        .unwrap();
    assert!(s.leaver(&google).await.suspended);
}

#[tokio::test]
async fn what_only_an_open_account_allows_is_refused_of_another() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    let off = MemberChange::TurnOffSecondFactor;
    for make in [
        (|u: &mut WorkspaceUser| u.enforced = true) as fn(&mut WorkspaceUser),
        |u| (u.enforced, u.advanced_protection) = (false, true),
        |u| (u.advanced_protection, u.suspended) = (false, true),
    ] {
        s.edit_leaver(make);
        let mut call = s.writing();
        let fault = google.change(&mut call, &id, &off).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Blocked);
        quiet(&fault, &call);
    }
    assert_eq!(s.journal(), Vec::<String>::new());
}

#[tokio::test]
async fn what_he_holds_is_taken_from_him_alone_and_twice_is_once() {
    for habits in [
        WorkspaceHabits::default(),
        WorkspaceHabits {
            page_max: 1,
            numbers: true,
            ..WorkspaceHabits::default()
        },
    ] {
        let s = Stage::with(habits).await;
        let google = s.open();
        let leaver = s.leaver(&google).await;
        let cases: [(MemberHolds, &[&str]); 4] = [
            (MemberHolds::Grants, &["app-a", "app-b", "app/../c"]),
            (MemberHolds::AppPasswords, &["3", "7"]),
            (MemberHolds::Groups, &["g1", "g2", "g3", "g4"]),
            (MemberHolds::Licences, &["Google-Apps/1010020020"]),
        ];
        for (sort, wanted) in cases {
            let held = google.held(&mut s.reading(), &leaver, sort).await.unwrap();
            assert_eq!(held, wanted, "{sort:?}");
            for one in &held {
                for _ in 0..2 {
                    google.take(&mut s.writing(), &leaver, sort, one).await.unwrap();
                }
            }
            assert!(google.held(&mut s.reading(), &leaver, sort).await.unwrap().is_empty());
        }
        let codes = google
            .held(&mut s.reading(), &leaver, MemberHolds::BackupCodes)
            .await
            .unwrap();
        assert_eq!(codes, ["1", "2", "3"], "a code is a secret");
        let rows = s.rows();
        assert_eq!(rows.users[SUCCESSOR].grants.len(), 1, "others keep what they have");
        assert!(rows.groups.values().all(|members| members == &[SUCCESSOR.to_owned()]));
    }
}

#[tokio::test]
async fn the_applications_that_have_a_token_are_named() {
    let s = Stage::new().await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    let consents = google.consents(&mut s.reading(), &leaver).await.unwrap();
    let held = google
        .held(&mut s.reading(), &leaver, MemberHolds::Grants)
        .await
        .unwrap();
    let clients: Vec<&str> = consents.iter().map(|one| one.client.0.as_str()).collect();
    assert_eq!(clients, held);
    assert_eq!(consents[0].name.as_deref(), Some("Tool app-a"));
    assert_eq!(s.journal(), Vec::<String>::new());
}

#[tokio::test]
async fn groups_that_nobody_may_take_him_out_of_are_for_a_person() {
    let s = Stage::new().await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    s.sort("g1", WorkspaceGroupSort::Dynamic);
    s.sort("g2", WorkspaceGroupSort::Security);
    for group in ["g1", "g2"] {
        let mut call = s.writing();
        let fault = google
            .take(&mut call, &leaver, MemberHolds::Groups, group)
            .await
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Blocked, "{group}");
        assert!(fault.detail.contains("by hand"), "{}", fault.detail);
        quiet(&fault, &call);
    }
    s.edit_leaver(|u| *u.licences.get_mut("Google-Apps/1010020020").unwrap() = true);
    let held = "Google-Apps/1010020020";
    let taken = google
        .take(&mut s.writing(), &leaver, MemberHolds::Licences, held)
        .await;
    let fault = taken.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Blocked, Some(412)));
    assert!(fault.detail.contains("automatically"), "{}", fault.detail);
}

#[tokio::test]
async fn a_listing_that_goes_round_in_a_circle_ends_in_a_fault() {
    let s = Stage::with(WorkspaceHabits {
        circles: true,
        ..WorkspaceHabits::default()
    })
    .await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    let fault = google
        .held(&mut s.reading(), &leaver, MemberHolds::Groups)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    assert!(fault.detail.contains("circle"), "{}", fault.detail);
}

#[tokio::test]
async fn readings_that_lag_are_not_taken_for_the_end() {
    let s = Stage::with(WorkspaceHabits {
        lag_ms: 60_000,
        ..WorkspaceHabits::default()
    })
    .await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    google
        .change(&mut s.writing(), &id, &MemberChange::Suspend)
        .await
        .unwrap();
    assert!(!s.leaver(&google).await.suspended);
    s.clock.advance(60_000);
    assert!(s.leaver(&google).await.suspended);
}

#[tokio::test]
async fn an_id_that_is_gone_or_another_companys_is_no_account() {
    let s = Stage::new().await;
    let google = s.open();
    let gone = google.member(&mut s.reading(), &ObjectId::from("555")).await.unwrap();
    assert!(gone.is_none());
    let theirs = google.member(&mut s.reading(), &ObjectId::from(STRANGER)).await;
    assert_eq!(theirs.unwrap_err().class, FaultClass::Denied);
    for hostile in ["", ".", ".."] {
        let mut call = s.reading();
        let fault = google.member(&mut call, &ObjectId::from(hostile)).await.unwrap_err();
        assert_eq!((fault.class, call.receipts().len()), (FaultClass::Rejected, 0));
    }
    // An address is no id: what answers to it is not what was asked for.
    let fault = google
        .member(&mut s.reading(), &ObjectId(address("anna")))
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
}

#[tokio::test]
async fn the_last_who_administers_it_is_known() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    s.edit_leaver(|u| u.administrator = true);
    let has_other = async || google.has_other_administrator(&mut s.reading(), &id).await.unwrap();
    assert!(!has_other().await);
    let second = |suspended: bool| {
        s.edit(|rows| {
            let admin = rows.users.get_mut("1003").unwrap();
            (admin.administrator, admin.suspended) = (true, suspended);
        });
    };
    second(true);
    assert!(!has_other().await, "who cannot sign in administers nothing");
    second(false);
    assert!(has_other().await);
}

#[tokio::test]
async fn people_are_found_in_it_where_there_is_no_other_directory() {
    let s = Stage::new().await;
    let google = s.open();
    let named = |upn: &str, mail: Option<&str>| PersonRef {
        user_principal_name: Some(upn.to_owned()),
        mail: mail.map(str::to_owned),
        ..PersonRef::default()
    };
    let alias = format!("{CANARY}@example.org");
    let found = find_person(&google, &s, &named(&address("anna"), Some(&alias))).await;
    let Found::One(account) = found else {
        panic!("{found:?}")
    };
    assert_eq!(
        (account.id.0.as_str(), account.enabled, account.guest),
        (LEAVER, true, false)
    );
    assert_eq!(account.manager_id, Some(ObjectId::from(SUCCESSOR)));
    let nobody = find_person(&google, &s, &named("nobody@example.com", None)).await;
    assert_eq!(nobody, Found::Nobody);
    // A name that leads nowhere while another leads to somebody is a mistake.
    for other in ["nobody@example.com".to_owned(), address("berta")] {
        let found = find_person(&google, &s, &named(&address("anna"), Some(&other))).await;
        assert!(matches!(found, Found::Ambiguous { .. }), "{found:?}");
    }
    // What stands beside an id must be so of its account.
    let id = ObjectId::from(LEAVER);
    for (other, number, his) in [
        (alias, "4711", true),
        (address("ANNA"), " 4711 ", true),
        (address("berta"), "4711", false),
        (address("anna"), "4712", false),
    ] {
        let person = PersonRef {
            object_id: Some(id.clone()),
            employee_id: Some(number.to_owned()),
            ..named(&other, Some(&address("anna")))
        };
        match find_person(&google, &s, &person).await {
            Found::One(account) => assert!(his && account.id == id, "{person:?}"),
            Found::Ambiguous { ids } => assert!(!his && ids == [id.clone()], "{person:?}"),
            Found::Nobody => panic!("{person:?}"),
        }
    }
    let fault = google
        .set(&mut s.writing(), &id, &offboard_connectors::AccountChange::Disable)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported);
}

async fn find_person(google: &GoogleConnector, s: &Stage, person: &PersonRef) -> Found {
    Directory::find(google, &mut s.reading(), person).await.unwrap()
}

#[tokio::test]
async fn the_account_that_is_acted_for_is_known_by_every_name_of_its() {
    let s = Stage::new().await;
    let admin = s.member(&s.open(), "1003").await;
    assert!(s.open().acts_for(&admin));
    assert!(!s.open().acts_for(&s.leaver(&s.open()).await));
    let mut settings = s.settings();
    settings.admin = format!("Desk.{CANARY}@example.org");
    let by_alias = crate::google::stage::open(&settings).unwrap();
    assert!(!by_alias.acts_for(&admin));
    let mut named_so = admin;
    named_so.aliases.push(format!("desk.{CANARY}@example.org"));
    assert!(by_alias.acts_for(&named_so));
}
