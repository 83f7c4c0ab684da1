//! Whole departures against the simulated vendor, with people in other
//! processes.

use crate::stage::{ROUNDS, Stage, lead};
use crate::support::{CERTIFICATE, Folder, until};
use offboard_connectors::graph::thumbprint;
use offboard_sim::population::{ADMIN_APP, Town};
use offboard_sim::world::{Fault, Op};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_departures_run_to_signed_evidence() {
    let stage = Stage::hurried().await;
    let folder = &stage.folder;
    folder.write("receipt.txt", "handed over at the desk");
    let file = stage.leavers(&[("HR-2", stage.cast().group_licensed.as_str())]);
    // At once, and without a reference.
    let bare = json!({
        "tenant": "northwind", "person": { "object_id": stage.cast().plain }, "manner": "immediate",
        "effective_at": "2026-01-01", "requested_by": "hr@acme.example",
    });
    folder.write("bare.json", &bare.to_string());
    folder.run(&["doctor"]).expect(0);
    let mut running = folder.start(&["run", &file, "bare.json", "--wait", "--json"]);
    folder.until_served_by(&mut running);
    let mut first = String::new();
    until("both are accepted", || {
        let cases = folder.run(&["list", "--json"]).expect(0).json();
        let cases = cases.as_array().unwrap();
        let bare = cases.iter().find(|c| c["reference"].is_null());
        first = bare.map_or("", |c| c["case"].as_str().unwrap()).to_owned();
        cases.len() == 2
    });
    let both = [first.as_str(), "HR-2"];
    let mut rounds = 0;
    until("both have ended", || {
        rounds += 1;
        assert!(
            rounds < ROUNDS,
            "{}",
            folder.run(&["why", both[0]]).out + &folder.run(&["why", both[1]]).out
        );
        // Both are looked after in every round.
        both.iter().filter(|r| lead(folder, r)).count() == 2
    });
    let ran = running.wait().expect(0);
    let end = ran.objects().pop().unwrap();
    assert_eq!(
        (&end["event"], &end["closed"], &end["open"]),
        (&json!("end"), &json!(2), &json!(0)),
        "{end}"
    );
    for (case, reference) in both.into_iter().zip([Value::Null, json!("HR-2")]) {
        let verified = folder.run(&["verify", case, "--json"]).expect(0).json();
        assert_eq!(verified["valid"], true);
        assert_eq!(verified["statement"]["predicate"]["request"]["reference"], reference);
        evidence_bites(folder, &verified);
        is_found_where_it_was_kept_before(folder, case, &verified);
    }
    says_that_it_is_closed(folder, &first);
    let world = stage.world();
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

/// A program of an older version kept it in a folder of the case.
fn is_found_where_it_was_kept_before(folder: &Folder, case: &str, verified: &Value) {
    let file = folder.path().join(verified["file"].as_str().unwrap());
    let id = verified["statement"]["predicate"]["case"].as_str().unwrap();
    let former = file.parent().unwrap().with_file_name(id);
    std::fs::create_dir(&former).unwrap();
    let there = former.join("evidence-7.dsse.json");
    std::fs::rename(&file, &there).unwrap();
    let found = folder.run(&["verify", case, "--json"]).expect(0).json();
    assert_eq!(folder.path().join(found["file"].as_str().unwrap()), there);
    std::fs::rename(&there, &file).unwrap();
    std::fs::remove_dir(&former).unwrap();
}

/// Handed in again without a reference, it may be another departure: each command says what
/// became of the first, and how to say so.
fn says_that_it_is_closed(folder: &Folder, case: &str) {
    let told = |why: &str| why.contains(case) && why.contains("closed since") && why.contains("`reference`");
    let submitted = folder.run(&["submit", "bare.json"]).expect(0);
    assert!(
        submitted.out.starts_with("known") && told(&submitted.out),
        "{}",
        submitted.out
    );
    let submitted = folder.run(&["submit", "bare.json", "--json"]).expect(0).json();
    assert!(told(submitted["accepted"][0]["why"].as_str().unwrap()), "{submitted}");
    let run = folder.run(&["run", "bare.json"]).expect(0);
    assert!(told(&run.err), "{}", run.err);
    let run = folder.run(&["run", "bare.json", "--json"]).expect(0);
    let first = run.objects().remove(0);
    assert_eq!(first["event"], "known");
    assert!(told(first["departure"]["why"].as_str().unwrap()), "{first}");
}

/// Any change is found: exit code 4.
fn evidence_bites(folder: &Folder, verified: &Value) {
    let path = verified["file"].as_str().unwrap();
    let path = folder.path().join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    let changed = folder.path().join("changed.dsse.json");
    std::fs::write(&changed, &bytes).unwrap();
    let pem = folder.run(&["keys", "export"]).expect(0).out;
    folder.write("key.pem", &pem);
    folder
        .run(&["verify", path.to_str().unwrap(), "--key", "key.pem"])
        .expect(0);
    let ran = folder
        .run(&["verify", "changed.dsse.json", "--key", "key.pem"])
        .expect(4);
    assert!(ran.err.contains("is not valid evidence"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_reads_only_and_says_what_is_true() {
    let stage = Stage::kind().await;
    let before = stage.world().journal().len();
    let file = stage.leavers(&[("HR-1", stage.cast().devices.as_str())]);
    stage
        .folder
        .write("wrong.csv", "tenant,last_day\nnorthwind,31st of March\n");
    let plan = stage
        .folder
        .run(&["plan", &file, "wrong.csv", "--json"])
        .expect(0)
        .json();
    assert_eq!(plan["rejected"][0]["at"]["line"], 2, "{plan}");
    let plan = plan["plans"][0].clone();
    assert_eq!(plan["planned"], true, "{plan}");
    let tasks = plan["tasks"].as_array().unwrap();
    let of = |kind: &str| {
        tasks
            .iter()
            .find(|t| t["kind"] == kind)
            .unwrap_or_else(|| panic!("{kind}: {plan}"))
    };
    assert_eq!(of("identity.disable_sign_in")["now"], "change");
    assert_eq!(of("identity.remove_directory_roles")["now"], "true");
    assert_eq!(of("device.wipe")["approval"], "own");
    assert_eq!(of("person.validate")["now"], "person");
    let unread: Vec<&Value> = tasks.iter().filter(|t| t["now"] == "unknown").collect();
    assert!(unread.is_empty(), "{unread:#?}");
    let text = stage.folder.run(&["plan", &file]).expect(0).out;
    assert!(
        text.contains("├─ ") && text.contains("would change") && text.contains("already true"),
        "{text}"
    );
    assert_eq!(stage.world().journal().len(), before, "reading changed something");
    assert!(
        !stage.folder.path().join("data/ledger.db").exists(),
        "nothing was accepted"
    );
    assert!(!stage.folder.path().join("data/store").exists(), "nothing was kept");
    // To ask for much is what makes a vendor hold back: it is waited for.
    for op in [Op::GetUser, Op::ListOwned, Op::ListMemberOf, Op::CmdletRead] {
        let held_back = Fault::Throttled { retry_after_s: Some(1) };
        stage.world().order(op, held_back, 2);
    }
    let plan = stage.folder.run(&["plan", &file, "--json"]).expect(0).json();
    let tasks = plan["plans"][0]["tasks"].as_array().unwrap();
    let unread: Vec<&Value> = tasks.iter().filter(|t| t["now"] == "unknown").collect();
    assert!(unread.is_empty(), "{unread:#?}");
    let nobody = stage
        .folder
        .run(&["plan", "--tenant", "northwind", "--person", "nobody@northwind.example"])
        .expect(3);
    assert!(nobody.out.contains("no plan:"), "{}", nobody.out);
}

/// What is his besides the name that he signs in with.
const FORMER: &str = "anna.before@northwind.example";

fn give_address(stage: &Stage, id: &str) {
    let tenant = stage.tenant_id();
    let mut world = stage.world();
    let people = &mut world.tenant_mut(&tenant).unwrap().people;
    people.edit_silently(id).unwrap().mail = Some(FORMER.to_owned());
}

fn plan_of(stage: &Stage, person: &str, code: i32) -> Value {
    let with = ["plan", "--tenant", "northwind", "--person", person, "--json"];
    stage.folder.run(&with).expect(code).json()["plans"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_takes_an_address_that_nobody_signs_in_with_for_a_mail_address() {
    let stage = Stage::kind().await;
    give_address(&stage, &stage.cast().plain);
    let plan = plan_of(&stage, FORMER, 0);
    assert_eq!(plan["planned"], true, "{plan}");
    give_address(&stage, &stage.cast().devices);
    let plan = plan_of(&stage, FORMER, 3);
    assert!(plan["why_not"].to_string().contains("more than one account"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_address_protects_and_doctor_names_what_protects_nobody() {
    let stage = Stage::kind().await;
    give_address(&stage, &stage.cast().plain);
    let file = stage.folder.path().join("tenants/northwind.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let listed = "[policy]\nprotected = [\"Anna.Before@northwind.example\", \"nobody@northwind.example\"]\n\n";
    let text = text.replace("[policy.approvals]", &format!("{listed}[policy.approvals]"));
    std::fs::write(&file, text).unwrap();
    let found = stage.folder.run(&["doctor", "--json"]).expect(0).json();
    let parts = found.as_array().unwrap();
    let part = parts
        .iter()
        .find(|p| p["part"] == "northwind/policy.protected")
        .unwrap();
    let whats: Vec<&str> = part["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["what"].as_str().unwrap())
        .collect();
    assert_eq!(whats[0], "1 of 2 protected accounts are there");
    assert!(whats[1].contains("'nobody@northwind.example'"), "{whats:?}");
    assert_eq!(whats.len(), 2, "{whats:?}");
    // By his id as well: who he is, and not how he is named, is what protects him.
    let plan = plan_of(&stage, &stage.cast().plain, 3);
    assert!(plan["why_not"].to_string().contains("protected"), "{plan}");
}

/// The severity of what doctor says of a part about this, and what it says.
fn said(found: &Value, part: &str, about: &str) -> Option<(String, String)> {
    let parts = found.as_array().unwrap();
    let findings = parts.iter().find(|p| p["part"] == part).unwrap()["findings"]
        .as_array()
        .unwrap();
    let told = findings.iter().find(|f| f["what"].as_str().unwrap().contains(about))?;
    let text = |field: &str| told[field].as_str().unwrap().to_owned();
    Some((text("severity"), text("what")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_asks_every_tenants_system_and_says_whose_permission_is_missing() {
    let stage = Stage::kind().await;
    let second = {
        let mut world = stage.world();
        let mut town = Town::found(&mut world, "fabrikam", 0);
        town.register_certificate(&thumbprint(CERTIFICATE).unwrap());
        town.withhold("UserAuthenticationMethod.ReadWrite.All");
        town.id().to_owned()
    };
    let file = stage.folder.path().join("tenants/northwind.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replace(&stage.tenant_id(), &second);
    stage.folder.write("tenants/fabrikam.toml", &text);
    let found = stage.folder.run(&["doctor", "--json"]).expect(1).json();
    let missing = "UserAuthenticationMethod.ReadWrite.All on Microsoft Graph is not granted";
    let (severity, _) = said(&found, "fabrikam/m365", missing).unwrap();
    assert_eq!(severity, "problem");
    assert_eq!(said(&found, "northwind/m365", missing), None);
    let every = "every permission on Microsoft Graph that the kinds need is granted";
    assert!(said(&found, "northwind/m365", every).is_some(), "{found}");
    assert_eq!(said(&found, "fabrikam/m365", every), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_needs_no_permission_of_tasks_that_the_policy_does_without() {
    let stage = Stage::kind().await;
    let tenant = stage.tenant_id();
    {
        let mut world = stage.world();
        let app = world.tenant_mut(&tenant).unwrap().apps.get_mut(ADMIN_APP).unwrap();
        app.graph_roles.remove("Mail.Read");
        app.graph_roles.remove("Device.ReadWrite.All");
    }
    let file = stage.folder.path().join("tenants/northwind.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    for (policy, code, archive, device) in [
        ("archive_mailbox = false", 1, "fine", "problem"),
        ("archive_mailbox = true", 1, "problem", "problem"),
        (
            "archive_mailbox = true\nskip = [\"device.disable_object\"]",
            1,
            "problem",
            "fine",
        ),
        ("skip = [\"device.disable_object\"]", 0, "fine", "fine"),
    ] {
        let policy = format!("[policy]\n{policy}\n\n[policy.approvals]");
        std::fs::write(&file, text.replace("[policy.approvals]", &policy)).unwrap();
        let found = stage.folder.run(&["doctor", "--json"]).expect(code).json();
        for (permission, kind, wanted) in [
            ("Mail.Read", "mailbox.archive_mailbox", archive),
            ("Device.ReadWrite.All", "device.disable_object", device),
        ] {
            let about = format!("{permission} on Microsoft Graph is not granted");
            let (severity, what) = said(&found, "northwind/m365", &about).unwrap();
            assert_eq!(severity, wanted, "{policy}: {what}");
            let names = what.contains(&format!("the policy does without {kind}"));
            assert_eq!(names, wanted == "fine", "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_stops_where_only_a_person_is_waited_for() {
    let stage = Stage::kind().await;
    let file = stage.leavers(&[("HR-1", stage.cast().plain.as_str())]);
    let ran = stage.folder.run(&["run", &file, "--as", "bob@msp.example"]).expect(3);
    assert!(
        ran.err.contains("1 need a person") && ran.err.contains("offboard run"),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("active"), "{}", ran.out);
    assert!(
        ran.err
            .contains("somebody else than bob@msp.example, who hands them in"),
        "{}",
        ran.err
    );
    // What was accepted goes on at the next start.
    let again = stage.folder.run(&["run", "--json"]).expect(3);
    assert_eq!(again.objects().pop().unwrap()["open"], 1);
    let needs = stage.folder.run(&["show", "HR-1", "--json"]).expect(0).json()["needs"].clone();
    assert_eq!(needs[0]["what"], "approve_plan");
    let wrong = "0".repeat(64);
    let stale = stage
        .folder
        .run(&["approve", "HR-1", "--digest", &wrong, "--as", "lead"])
        .expect(1);
    assert!(stale.err.contains("nothing was approved"), "{}", stale.err);
    let same = stage.folder.run(&["approve", "HR-1", "--yes"]).expect(1);
    assert!(same.err.contains("somebody else must decide"), "{}", same.err);
    // Nor does who handed in what names another one; who that was is shown.
    let handed_in = stage
        .folder
        .run(&["approve", "HR-1", "--yes", "--as", "bob@msp.example"])
        .expect(1);
    assert!(handed_in.err.contains("somebody else must decide"), "{}", handed_in.err);
    let shown = stage.folder.run(&["show", "HR-1"]).expect(0);
    assert!(
        shown.out.contains("by hr@acme.example, handed in by bob@msp.example"),
        "{}",
        shown.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_loses_nothing() {
    let stage = Stage::kind().await;
    let file = stage.leavers(&[
        ("HR-1", stage.cast().plain.as_str()),
        ("HR-2", stage.cast().sole_owner.as_str()),
    ]);
    for signal in ["KILL", "INT"] {
        let mut running = stage.folder.start(&["run", &file, "--wait"]);
        stage.folder.until_served_by(&mut running);
        until("it is accepted", || stage.folder.run(&["show", "HR-2"]).code == Some(0));
        running.signal(signal);
        let ran = running.wait();
        if signal == "INT" {
            let ran = ran.expect(130);
            assert!(ran.err.contains("go on where they are"), "{}", ran.err);
        }
    }
    let cases = stage.folder.run(&["list", "--json"]).expect(0).json();
    assert_eq!(cases.as_array().unwrap().len(), 2);
}
