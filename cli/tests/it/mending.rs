//! What has failed, and a person: he mends it and orders it again, or goes
//! without it and says why.

use crate::stage::{LEAD, ROUNDS, Stage, attend};
use crate::support::until;
use offboard_sim::world::{Effect, Entry};
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_mended_and_done_or_gone_without_and_the_evidence_says_which() {
    let stage = Stage::hurried().await;
    let folder = &stage.folder;
    folder.write("receipt.txt", "handed over at the desk");
    // Sixty gigabytes fit into no shared mailbox, and who is synchronised from a
    // directory that nobody has connected cannot be changed in the cloud.
    let (large, synced) = (stage.cast().big_mailbox.clone(), stage.cast().hybrid.clone());
    let file = stage.leavers(&[("HR-1", &large), ("HR-2", &synced)]);
    let mut running = folder.start(&["run", &file, "--wait", "--json"]);
    folder.until_served_by(&mut running);
    until("it is accepted", || folder.run(&["show", "HR-2"]).code == Some(0));

    let (mut waived, mut retried) = (BTreeSet::new(), BTreeSet::new());
    let mut rounds = 0;
    until("both have ended", || {
        rounds += 1;
        assert!(
            rounds < ROUNDS,
            "{}",
            folder.run(&["why", "HR-1"]).out + &folder.run(&["why", "HR-2"]).out
        );
        let first = attend(folder, "HR-1", |case, need| {
            let kind = need["kind"].as_str().unwrap().to_owned();
            // What was seen is said before he decides.
            let explained = folder.run(&["why", case, &kind, "--json"]).expect(0).json();
            let seen = &explained["tasks"][0]["task"]["seen"]["facts"];
            assert!(seen.as_object().is_some_and(|f| !f.is_empty()), "{explained}");
            let why = ["--reason", "its licence is kept", "--until", "30d"];
            // Whoever asked for the departure does not let it off.
            folder
                .run(&[&["waive", case, &kind], &why[..], &["--as", "hr@acme.example"]].concat())
                .expect(1);
            folder
                .run(&[&["waive", case, &kind], &why[..], &["--as", LEAD]].concat())
                .expect(0);
            waived.insert(kind);
        });
        let second = attend(folder, "HR-2", |case, need| {
            let kind = need["kind"].as_str().unwrap().to_owned();
            if kind == "identity.reset_password" {
                // Somebody resets it on the premises, and it is synchronised.
                let tenant = stage.tenant_id();
                let mut world = stage.world();
                let at = world.journal().last().map_or(0, |entry| entry.at_ms);
                let people = &mut world.tenant_mut(&tenant).unwrap().people;
                people.edit(&synced, at).unwrap().password_changed_ms = at + 1;
                drop(world);
                folder.run(&["retry", case, &kind, "--as", LEAD]).expect(0);
                retried.insert(kind);
                return;
            }
            // What the cloud does not refuse any more is written, whoever did it before: the
            // reset is to have counted by then.
            let view = folder.run(&["show", "HR-2", "--json"]).expect(0).json();
            let mut tasks = view["tasks"].as_array().unwrap().iter();
            let reset = tasks.find(|t| t["kind"] == "identity.reset_password").unwrap();
            if reset["outcome"].is_null() {
                return;
            }
            // Somebody moves the account into the cloud.
            let tenant = stage.tenant_id();
            let mut world = stage.world();
            let at = world.journal().last().map_or(0, |entry| entry.at_ms);
            let tenant = world.tenant_mut(&tenant).unwrap();
            if let Some(person) = tenant.people.edit(&synced, at) {
                person.on_prem = None;
            }
            tenant.hybrid = false;
            if let Some(mailbox) = tenant.mailboxes.edit(&synced, at) {
                mailbox.synced = false;
            }
            let groups: Vec<String> = tenant.groups.iter().map(|(id, _)| id.to_owned()).collect();
            for id in groups {
                tenant.groups.edit(&id, at).unwrap().synced = false;
            }
            drop(world);
            folder.run(&["retry", case, &kind, "--as", LEAD]).expect(0);
            retried.insert(kind);
        });
        first && second
    });
    assert!(waived.contains("mailbox.convert_to_shared"), "{waived:?}");
    assert!(retried.contains("identity.reset_password"), "{retried:?}");
    // What a person did by hand counts, and is not done a second time.
    let world = stage.world();
    let reset = |e: &&Entry| e.effect == Effect::PasswordReset && e.subject == synced;
    assert!(!world.journal().into_iter().any(|e| reset(&e)));
    drop(world);
    running.wait().expect(0);

    let outcomes = |reference: &str| -> Vec<(String, String)> {
        let view = folder.run(&["show", reference, "--json"]).expect(0).json();
        let task = |t: &Value| Some((t["kind"].as_str()?.to_owned(), t["outcome"].as_str()?.to_owned()));
        view["tasks"].as_array().unwrap().iter().filter_map(task).collect()
    };
    for (kind, outcome) in outcomes("HR-1") {
        assert_eq!(outcome == "waived", waived.contains(&kind), "{kind}: {outcome}");
    }
    for (kind, outcome) in outcomes("HR-2").iter().filter(|(kind, _)| retried.contains(kind)) {
        assert!(outcome.starts_with("verified"), "{kind}: {outcome}");
    }
    let world = stage.world();
    let tenant = world.tenant(&stage.tenant_id()).unwrap();
    let kept = &tenant.people.get(&large).unwrap().direct_licenses;
    assert!(!kept.is_empty(), "the mailbox would be deleted without its licence");
}
