//! Against an application that is as unkind as those that are met in the field.

use crate::common::{Server, call, json_answer};
use crate::scim::stage::{CANARY, PATCH, Stage, by_name, ids, leaver, one, open, quiet};
use offboard_connectors::scim::{ExternalId, MatchBy, Profile};
use offboard_connectors::{Apps as _, Known};
use offboard_domain::FaultClass;
use offboard_sim::world::app::{AppUser, Habits, Patching};
use serde_json::json;

#[tokio::test]
async fn each_profile_ends_the_account_and_nothing_else_of_it_or_of_anybody() {
    let text = Habits {
        text: true,
        ..Habits::default()
    };
    let silent = Habits {
        silent: true,
        ..Habits::default()
    };
    let no_patch = Habits {
        patch: Patching::Refused(501),
        ..Habits::default()
    };
    let no_path = Habits {
        patch: Patching::WithoutPath,
        ..text
    };
    let no_versions = Habits {
        versions: false,
        ..no_patch
    };
    let patch = |path, text| Profile::Patch { path, text };
    let cases = [
        (Habits::default(), PATCH, "patch u1"),
        (Habits::default(), patch(false, false), "patch u1"),
        (silent, PATCH, "patch u1"),
        (text, patch(true, true), "patch u1"),
        (no_path, patch(false, true), "patch u1"),
        (no_patch, Profile::Put { text: false }, "put u1"),
        (no_versions, Profile::Put { text: false }, "put u1"),
        (Habits { silent: true, ..text }, Profile::Put { text: true }, "put u1"),
    ];
    for (habits, profile, effect) in cases {
        let s = Stage::with(habits).await;
        let app = s.open(profile);
        let before = s.app().users().clone();
        let account = s.found(&app).await;
        assert_eq!((account.id.0.as_str(), account.active), ("u1", Some(true)));
        assert_eq!(s.journal(), Vec::<String>::new(), "reading writes nothing");
        app.deactivate(&mut s.writing(), &account).await.unwrap();
        assert_eq!(s.journal(), [effect], "{profile:?}");
        let read = app.account(&mut s.reading(), &account.id).await.unwrap().unwrap();
        assert!(read.is_ended(), "{profile:?}");
        let again = app.find(&mut s.reading(), &by_name(&leaver())).await.unwrap();
        assert!(one(again).is_ended(), "{profile:?}");
        let mut wanted = before;
        let anna = wanted.get_mut("u1").unwrap();
        (anna.active, anna.version) = (false, 2);
        assert_eq!(*s.app().users(), wanted, "{profile:?}");
        app.deactivate(&mut s.writing(), &read).await.unwrap();
        wanted.get_mut("u1").unwrap().version = 3;
        assert_eq!(*s.app().users(), wanted, "twice is once");
    }
}

#[tokio::test]
async fn what_cannot_deactivate_deletes_and_gone_is_success() {
    let s = Stage::with(Habits {
        active: false,
        ..Habits::default()
    })
    .await;
    let app = s.open(Profile::Delete);
    let account = s.found(&app).await;
    assert_eq!(account.active, None);
    for _ in 0..2 {
        app.delete(&mut s.writing(), &account.id).await.unwrap();
    }
    assert_eq!(s.journal(), ["delete u1"]);
    assert!(app.account(&mut s.reading(), &account.id).await.unwrap().is_none());
    let found = app.find(&mut s.reading(), &by_name(&leaver())).await.unwrap();
    assert!(found.accounts.is_empty() && found.complete);
    // By its configuration it deactivates nobody, whatever it is told.
    let fault = app.deactivate(&mut s.writing(), &account).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported);
}

#[tokio::test]
async fn a_write_without_leave_is_not_sent() {
    let s = Stage::with(Habits::default()).await;
    let app = s.open(PATCH);
    let account = s.found(&app).await;
    let mut call = s.reading();
    for fault in [
        app.deactivate(&mut call, &account).await.unwrap_err(),
        app.delete(&mut call, &account.id).await.unwrap_err(),
    ] {
        assert_eq!(fault.class, FaultClass::Rejected);
    }
    assert_eq!((call.writes_sent(), call.receipts().len()), (0, 0));
    assert_eq!(s.journal(), Vec::<String>::new());
}

#[tokio::test]
async fn readings_that_lag_are_not_taken_for_the_end() {
    let s = Stage::with(Habits {
        lag_ms: 60_000,
        ..Habits::default()
    })
    .await;
    let app = s.open(PATCH);
    let account = s.found(&app).await;
    app.deactivate(&mut s.writing(), &account).await.unwrap();
    let read = app.account(&mut s.reading(), &account.id).await.unwrap().unwrap();
    assert!(!read.is_ended());
    s.clock.advance(60_000);
    let read = app.account(&mut s.reading(), &account.id).await.unwrap().unwrap();
    assert!(read.is_ended());
}

#[tokio::test]
async fn the_whole_is_written_back_only_over_what_was_read() {
    let s = Stage::with(Habits::default()).await;
    let app = s.open(Profile::Put { text: false });
    let account = s.found(&app).await;
    let now = s.clock.ms();
    s.app().change(now, None, |users| {
        let anna = users.get_mut("u1").unwrap();
        (anna.plan, anna.version) = ("silver".into(), 2);
    });
    let fault = app.deactivate(&mut s.writing(), &account).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Transient, Some(412)));
    let read = app.account(&mut s.reading(), &account.id).await.unwrap().unwrap();
    app.deactivate(&mut s.writing(), &read).await.unwrap();
    let users = s.app().users().clone();
    assert_eq!((users["u1"].active, users["u1"].plan.as_str()), (false, "silver"));
}

#[tokio::test]
async fn two_accounts_of_one_name_are_both_found() {
    let s = Stage::with(Habits::default()).await;
    let now = s.clock.ms();
    s.app().change(now, None, |users| {
        users.insert("u9".into(), AppUser::named(&leaver().to_uppercase()));
    });
    let found = s.open(PATCH).find(&mut s.reading(), &by_name(&leaver())).await.unwrap();
    assert_eq!(ids(&found), ["u1", "u9"]);
}

#[tokio::test]
async fn he_is_found_by_each_attribute_and_nobody_else_is() {
    let s = Stage::with(Habits::default()).await;
    let number = MatchBy::ExternalId(ExternalId::EmployeeId);
    let who = Known {
        names: vec![leaver().to_lowercase(), format!("{CANARY}@EXAMPLE.org")],
        directory_id: Some("4712".into()),
        employee_id: Some("4711".into()),
    };
    for matched in [
        vec![MatchBy::UserName],
        vec![MatchBy::Emails],
        vec![number],
        vec![number, MatchBy::Emails, MatchBy::UserName],
    ] {
        let app = s.open_by(PATCH, &matched);
        let found = app.find(&mut s.reading(), &who).await.unwrap();
        assert_eq!(ids(&found), ["u1"], "{matched:?}");
        assert!(found.complete);
    }
    // A number that is somebody else's leads to two, and so to a person.
    let app = s.open_by(
        PATCH,
        &[MatchBy::UserName, MatchBy::ExternalId(ExternalId::DirectoryId)],
    );
    let found = app.find(&mut s.reading(), &who).await.unwrap();
    assert_eq!(ids(&found), ["u0", "u1"]);
    // What is not known is not looked up, and that is told.
    let app = s.open_by(PATCH, &[MatchBy::UserName, number]);
    let found = app
        .find(&mut s.reading(), &by_name("nobody@example.com"))
        .await
        .unwrap();
    assert!(found.accounts.is_empty() && !found.complete);
}

/// It answers the filter and does not show by what: he is not taken for nobody.
#[tokio::test]
async fn who_is_found_by_what_is_not_shown_is_not_taken_for_nobody() {
    let s = Stage::with(Habits {
        hides_emails: true,
        ..Habits::default()
    })
    .await;
    let address = format!("{CANARY}@example.org");
    let app = s.open_by(PATCH, &[MatchBy::Emails]);
    let found = app.find(&mut s.reading(), &by_name(&address)).await.unwrap();
    assert!(found.accounts.is_empty() && !found.complete);
    // Whom it does not list it does not have.
    let nobody = by_name("nobody@example.org");
    let found = app.find(&mut s.reading(), &nobody).await.unwrap();
    assert!(found.accounts.is_empty() && found.complete);
}

#[tokio::test]
async fn listings_that_lie_are_read_to_their_end() {
    let crowd = |habits| async move {
        let s = Stage::with(habits).await;
        let now = s.clock.ms();
        s.app().change(now, None, |users| {
            for n in 0..30 {
                users.insert(format!("a{n:02}"), AppUser::named(&format!("crowd{n}@example.com")));
            }
        });
        let found = s.open(PATCH).find(&mut s.reading(), &by_name(&leaver())).await.unwrap();
        assert_eq!(ids(&found), ["u1"], "{habits:?}");
    };
    let everybody = Habits {
        ignores_filter: true,
        page_max: 7,
        ..Habits::default()
    };
    crowd(everybody).await;
    crowd(Habits {
        total_of_page: true,
        ..everybody
    })
    .await;
    // One page for ever, with everybody on it.
    crowd(Habits {
        ignores_start: true,
        page_max: 100,
        ..everybody
    })
    .await;
}

#[tokio::test]
async fn whom_a_listing_without_filter_and_pages_does_not_show_is_not_taken_for_nobody() {
    let s = Stage::with(Habits {
        ignores_filter: true,
        ignores_start: true,
        page_max: 7,
        ..Habits::default()
    })
    .await;
    let now = s.clock.ms();
    s.app().change(now, None, |users| {
        for n in 0..30 {
            users.insert(format!("a{n:02}"), AppUser::named(&format!("crowd{n}@example.com")));
        }
    });
    // He is there, and the one page does not hold him.
    let mut call = s.reading();
    let fault = s.open(PATCH).find(&mut call, &by_name(&leaver())).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported, "{fault}");
    assert!(fault.detail.contains("33 users, and shows 7"), "{fault}");
    quiet(&fault, &call);
    // Nor is who is on it: somebody else of that name may not be.
    let crowd = by_name("crowd0@example.com");
    let fault = s.open(PATCH).find(&mut s.reading(), &crowd).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported, "{fault}");
}

/// Somebody before the second page is deleted after the first was read: who was the first on
/// the second page is on none.
#[tokio::test]
async fn a_listing_that_moves_while_it_is_read_is_read_again() {
    let server = Server::start(|asked| async move {
        let of = |names: &[&str]| -> Vec<_> {
            let user = |n: &&str| json!({"id": n, "userName": format!("{n}@b.test"), "active": true});
            names.iter().map(user).collect()
        };
        let listed = if asked.query.contains("startIndex=1&") {
            of(&["a", "b"])
        } else if asked.query.contains("startIndex=3&") {
            of(&["d"])
        } else {
            of(&[])
        };
        json_answer(200, json!({"totalResults": 4, "Resources": listed}))
    })
    .await;
    let app = open(server.root(), "t", PATCH, &[MatchBy::UserName]);
    let mut call = call();
    let fault = app.find(&mut call, &by_name("c@b.test")).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    assert!(fault.detail.contains("read again"), "{fault}");
    quiet(&fault, &call);
}

#[tokio::test]
async fn a_wrong_count_beside_a_filter_that_is_heeded_hides_nobody() {
    let user = json!({"id": "a", "userName": "a@b.test", "active": true});
    let body = json!({"totalResults": 5_000, "Resources": [user]});
    let server = Server::start(move |_| {
        let body = body.clone();
        async move { json_answer(200, body) }
    })
    .await;
    let app = open(server.root(), "t", PATCH, &[MatchBy::UserName]);
    let found = app.find(&mut call(), &by_name("a@b.test")).await.unwrap();
    assert_eq!(ids(&found), ["a"]);
}

#[tokio::test]
async fn names_are_looked_up_in_lower_case_too() {
    let s = Stage::with(Habits {
        cased: true,
        ..Habits::default()
    })
    .await;
    let now = s.clock.ms();
    s.app().change(now, None, |users| {
        users.get_mut("u1").unwrap().user_name = leaver().to_lowercase();
    });
    let found = s.open(PATCH).find(&mut s.reading(), &by_name(&leaver())).await.unwrap();
    assert_eq!(ids(&found), ["u1"]);
}

#[tokio::test]
async fn a_hostile_name_finds_nobody_but_its_owner() {
    let s = Stage::with(Habits::default()).await;
    let app = s.open(PATCH);
    for name in [
        r#"x" or userName pr or userName eq "y"#,
        r"back\slash\",
        "a&count=1#b+c%22",
        "line\nbreak\t\"",
        "ünï@example.com",
    ] {
        let found = app.find(&mut s.reading(), &by_name(name)).await.unwrap();
        assert!(found.accounts.is_empty(), "{name}");
        let now = s.clock.ms();
        s.app().change(now, None, |users| {
            users.insert("h1".into(), AppUser::named(name));
        });
        let found = app.find(&mut s.reading(), &by_name(name)).await.unwrap();
        assert_eq!(ids(&found), ["h1"], "{name}");
        s.app().change(now, None, |users| drop(users.remove("h1")));
    }
}
