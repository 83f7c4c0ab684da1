//! Recovery keys out of the escrow: to whoever gives a reason, and never without
//! a line about it.

use crate::stage::{LEAD, ROUNDS, Stage, attend};
use crate::support::until;
use offboard_sim::world::model::Reach;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;

/// A departure of somebody with a laptop and a telephone, as far as it goes
/// without a person: the keys of both are kept by then.
async fn kept() -> Stage {
    let stage = Stage::kind().await;
    let file = stage.leavers(&[("HR-1", stage.cast().devices.as_str())]);
    stage.folder.run(&["run", &file]).expect(3);
    stage
}

/// The laptop, as the world has it.
struct Laptop {
    managed: String,
    object: String,
    serial: String,
    /// The disk's recovery key, and the local administrator's password.
    secrets: [String; 2],
}

fn laptop(stage: &Stage) -> Laptop {
    let id = stage.tenant_id();
    let world = stage.world();
    let tenant = world.tenant(&id).unwrap();
    let his = &stage.cast().devices;
    let mut devices = tenant.devices.iter().map(|(_, device)| device);
    let device = devices.find(|d| d.user == *his && d.laps.is_some()).unwrap();
    let mut managed = tenant.managed_devices.iter().map(|(_, record)| record);
    let managed = managed.find(|m| m.entra_device_id == device.device_id).unwrap();
    let (password, _) = device.laps.clone().unwrap();
    Laptop {
        managed: managed.id.clone(),
        object: device.id.clone(),
        serial: managed.serial.clone(),
        secrets: [device.bitlocker[0].key.clone(), password],
    }
}

fn log(stage: &Stage) -> PathBuf {
    stage.folder.path().join("data/escrow.log")
}

/// Both keys are there, each once.
#[track_caller]
fn shows_both(out: &str, laptop: &Laptop) {
    for secret in &laptop.secrets {
        assert_eq!(out.matches(secret.as_str()).count(), 1, "{out}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_given_back_for_a_reason_and_that_is_written_down() {
    let stage = kept().await;
    let (folder, laptop) = (&stage.folder, laptop(&stage));
    let listed = folder.run(&["escrow", "list", "HR-1", "--json"]).expect(0).json();
    let rows = listed.as_array().unwrap();
    let row = rows.iter().find(|r| r["serial"] == laptop.serial.as_str());
    let row = row.unwrap_or_else(|| panic!("{listed}"));
    assert_eq!(
        (&row["device"], &row["keys"], &row["status"]),
        (&json!(laptop.managed), &json!(2), &json!("done")),
        "{row}"
    );
    let table = folder.run(&["escrow", "list", "HR-1"]).expect(0).out;
    assert!(
        table.contains(&laptop.serial) && table.contains(&laptop.managed),
        "{table}"
    );
    assert!(!log(&stage).exists(), "nothing was opened");

    // People type a number as they read it.
    let number = laptop.serial.to_lowercase();
    let reason = "locked out after an update,\nINC-7";
    let opened = folder
        .run(&["escrow", "open", "HR-1", &number, "--reason", reason])
        .expect(0);
    shows_both(&opened.out, &laptop);
    assert_eq!(opened.out.lines().count(), 2, "{}", opened.out);
    assert!(
        opened.out.starts_with("disk ") && opened.out.contains("\nlocal administrator "),
        "{}",
        opened.out
    );
    assert!(opened.out.contains("Administrator"), "{}", opened.out);

    let beginning = &laptop.object[..13];
    let open = ["escrow", "open", "HR-1", beginning, "--reason", "again", "--as", LEAD];
    let again = folder.run(&[&open[..], &["--json"]].concat()).expect(0);
    let document = again.json();
    let keys: Vec<(&Value, &Value)> = document["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| (&k["sort"], &k["key"]))
        .collect();
    let [disk, password] = &laptop.secrets;
    assert_eq!(
        keys,
        [
            (&json!("disk"), &json!(disk)),
            (&json!("local_administrator"), &json!(password))
        ]
    );

    let mode = fs::metadata(log(&stage)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = fs::read_to_string(log(&stage)).unwrap();
    for said in [&text, &opened.err, &again.err] {
        assert!(!laptop.secrets.iter().any(|s| said.contains(s.as_str())), "{said}");
    }
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let [first, second] = lines.as_slice() else {
        panic!("one line for each: {text}")
    };
    assert_eq!(
        (&first["by"], &first["reason"], &first["task"], &first["keys"]),
        (&json!("hr@acme.example"), &json!(reason), &row["task"], &json!(2)),
        "{text}"
    );
    assert_eq!((&second["by"], &second["reason"]), (&json!(LEAD), &json!("again")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_takes_a_reason_and_a_device_that_has_keys() {
    let stage = kept().await;
    let (folder, laptop) = (&stage.folder, laptop(&stage));
    let serial = laptop.serial.as_str();
    let without = folder.run(&["escrow", "open", "HR-1", serial]).expect(2);
    assert!(without.err.contains("--reason"), "{}", without.err);
    let open = |case: &str, device: &str, reason: &str, code: i32| {
        let ran = folder.run(&["escrow", "open", case, device, "--reason", reason]);
        let ran = ran.expect(code);
        assert!(ran.out.is_empty(), "{}", ran.out);
        ran.err
    };
    let blank = open("HR-1", serial, "  ", 2);
    assert!(blank.contains("the reason must not be empty"), "{blank}");
    let unknown = open("HR-1", "SN-NONE", "lost", 2);
    assert!(
        unknown.contains("'SN-NONE'") && unknown.contains("offboard escrow list c-"),
        "{unknown}"
    );
    let nobody = open("HR-9", serial, "lost", 1);
    assert!(nobody.contains("there is no case 'HR-9'"), "{nobody}");
    // The telephone has none.
    let listed = folder.run(&["escrow", "list", "HR-1", "--json"]).expect(0).json();
    let rows = listed.as_array().unwrap();
    let bare = rows.iter().find(|r| r["keys"] == 0);
    let bare = bare.unwrap_or_else(|| panic!("{listed}"));
    let none = open("HR-1", bare["device"].as_str().unwrap(), "curious", 1);
    assert!(
        none.contains("no recovery key of device") && none.contains("m365 had none"),
        "{none}"
    );
    assert!(!log(&stage).exists(), "nothing was opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_shown_under_another_key_or_without_a_line_about_it() {
    let stage = kept().await;
    let (folder, laptop) = (&stage.folder, laptop(&stage));
    let open = ["escrow", "open", "HR-1", &laptop.serial, "--reason", "lost"];
    let refused = || {
        let ran = folder.run(&open).expect(1);
        assert!(ran.out.is_empty(), "{}", ran.out);
        ran.err
    };
    let key = folder.path().join("keys/escrow.key");
    let right = fs::read(&key).unwrap();
    fs::write(&key, "0".repeat(64)).unwrap();
    let wrong = refused();
    assert!(
        wrong.contains("with this folder's escrow.key") && wrong.contains("another tenant, label or key"),
        "{wrong}"
    );
    let aside = folder.path().join("keys/aside");
    fs::rename(&key, &aside).unwrap();
    let absent = refused();
    assert!(
        absent.contains("escrow.key") && absent.contains("the backup"),
        "{absent}"
    );
    fs::rename(&aside, &key).unwrap();
    fs::write(&key, right).unwrap();
    assert!(!log(&stage).exists(), "nothing was opened");

    fs::create_dir(log(&stage)).unwrap();
    let unwritten = refused();
    assert!(
        unwritten.contains("escrow.log") && unwritten.contains("so none is shown"),
        "{unwritten}"
    );
    fs::remove_dir(log(&stage)).unwrap();
    fs::write(log(&stage), "").unwrap();
    fs::set_permissions(log(&stage), fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = refused();
    assert!(exposed.contains("chmod 600"), "{exposed}");
    fs::set_permissions(log(&stage), fs::Permissions::from_mode(0o600)).unwrap();
    shows_both(&folder.run(&open).expect(0).out, &laptop);
}

/// The row of the laptop in what `escrow list` says.
#[track_caller]
fn row(stage: &Stage, laptop: &Laptop) -> Value {
    let listed = stage.folder.run(&["escrow", "list", "HR-1", "--json"]).expect(0).json();
    let rows = listed.as_array().unwrap();
    let row = rows.iter().find(|r| r["serial"] == laptop.serial.as_str());
    row.unwrap_or_else(|| panic!("{listed}")).clone()
}

/// Calls the departure off beside whoever serves, and waits for its account.
fn sealed(stage: &Stage) {
    let folder = &stage.folder;
    // A case that was called off is accounted for, too.
    folder.run(&["cancel", "HR-1", "--reason", "she stays"]).expect(0);
    until("its evidence is sealed", || {
        let view = folder.run(&["show", "HR-1", "--json"]).expect(0).json();
        view["evidence"].is_string()
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_serving_process_the_keys_of_an_open_and_of_a_sealed_case_open() {
    let stage = kept().await;
    let (folder, laptop) = (&stage.folder, laptop(&stage));
    let open = ["escrow", "open", "HR-1", &laptop.serial, "--reason", "lost"];
    let serving = folder.serve();
    assert_eq!(row(&stage, &laptop)["keys"], 2);
    shows_both(&folder.run(&open).expect(0).out, &laptop);
    sealed(&stage);
    shows_both(&folder.run(&open).expect(0).out, &laptop);
    drop(serving);
    // And once nobody holds it.
    shows_both(&folder.run(&open).expect(0).out, &laptop);
    assert_eq!(fs::read_to_string(log(&stage)).unwrap().lines().count(), 3);
}

/// Serves as a program does that knows a case and no question about what it kept.
fn serve_as_of_old(socket: &Path, view: &Value) {
    let shown = json!({"answer": "case", "with": view});
    let refused = json!({"answer": "refused", "with": {"why": "the request does not read"}});
    // Whoever served before is dead, and may have left it.
    drop(fs::remove_file(socket));
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 0 {
                let asked: Value = serde_json::from_str(&line).unwrap();
                let answer = if asked["ask"] == "show" { &shown } else { &refused };
                writeln!(stream.get_mut(), "{answer}").unwrap();
                line.clear();
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_an_older_process_the_sealed_account_says_what_was_kept() {
    let stage = kept().await;
    let (folder, laptop) = (&stage.folder, laptop(&stage));
    let open = ["escrow", "open", "HR-1", &laptop.serial, "--reason", "lost"];
    let view = || folder.run(&["show", "HR-1", "--json"]).expect(0).json();
    let unsealed = view();
    let serving = folder.serve();
    sealed(&stage);
    let accounted_for = view();
    drop(serving);

    serve_as_of_old(&folder.socket(), &unsealed);
    let refused = folder.run(&open).expect(1);
    assert!(refused.out.is_empty(), "{}", refused.out);
    assert!(
        refused.err.contains("does not read") && refused.err.contains("restart `offboard serve`"),
        "{}",
        refused.err
    );
    serve_as_of_old(&folder.socket(), &accounted_for);
    shows_both(&folder.run(&open).expect(0).out, &laptop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_of_a_mac_opens_although_its_disks_key_is_for_a_person() {
    let stage = Stage::kind().await;
    let (folder, laptop) = (&stage.folder, laptop(&stage));
    let code = "K7QTR-LOCK-42";
    {
        let id = stage.tenant_id();
        let mut world = stage.world();
        let records = &mut world.tenant_mut(&id).unwrap().managed_devices;
        let record = records.edit_silently(&laptop.managed).unwrap();
        record.os = "macOS";
        record.activation_lock = Some((code.to_owned(), false));
    }
    let file = stage.leavers(&[("HR-1", stage.cast().devices.as_str())]);
    folder.run(&["run", &file]).expect(3);
    let row = row(&stage, &laptop);
    assert_eq!((&row["keys"], &row["status"]), (&json!(3), &json!("failed")), "{row}");
    let task = row["task"].as_str().unwrap();
    let why = folder.run(&["why", "HR-1", task]).expect(0);
    assert!(why.out.contains("FileVault") && !why.out.contains(code), "{}", why.out);
    let opened = folder
        .run(&["escrow", "open", "HR-1", task, "--reason", "to be handed on"])
        .expect(0);
    shows_both(&opened.out, &laptop);
    let line = opened.out.lines().find(|l| l.starts_with("activation lock "));
    assert!(line.is_some_and(|l| l.contains(code)), "{}", opened.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_of_a_wiped_mac_opens_beside_its_other_keys() {
    let stage = Stage::hurried().await;
    let (folder, laptop) = (&stage.folder, laptop(&stage));
    let id = stage.tenant_id();
    {
        let mut world = stage.world();
        let records = &mut world.tenant_mut(&id).unwrap().managed_devices;
        let record = records.edit_silently(&laptop.managed).unwrap();
        (record.os, record.encrypted) = ("macOS", false);
        // Its record stays, and says what was ordered.
        record.reach = Reach::Never;
    }
    folder.write("receipt.txt", "handed over at the desk");
    let serving = folder.serve();
    let file = stage.leavers(&[("HR-1", stage.cast().devices.as_str())]);
    folder.run(&["submit", &file]).expect(0);
    let mut code = String::new();
    let mut rounds = 0;
    until("the Mac is told to wipe itself", || {
        rounds += 1;
        assert!(rounds < ROUNDS, "{}", folder.run(&["why", "HR-1"]).out);
        attend(folder, "HR-1", |_, _| ());
        let world = stage.world();
        let record = world.tenant(&id).unwrap().managed_devices.get(&laptop.managed);
        code = record.and_then(|r| r.unlock_code.clone()).unwrap_or_default();
        code.len() == 6
    });
    let open = ["escrow", "open", "HR-1", &laptop.serial, "--reason", "handed on"];
    until("its code is in escrow", || {
        let opened = folder.run(&open).out;
        let mut lines = opened.lines();
        lines.any(|l| l.starts_with("wiped mac ") && l.contains(&code))
    });
    shows_both(&folder.run(&open).expect(0).out, &laptop);
    drop(serving);
}
