//! A working folder: made, checked, and wrong.

use crate::support::Folder;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn init_makes_a_folder_that_doctor_accepts() {
    let folder = Folder::empty();
    let made = folder.run(&["init", "msp"]).expect(0);
    assert!(made.out.contains("made  ./msp/offboard.toml"), "{}", made.out);
    let key = folder.path().join("msp/keys/signing.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = folder.run(&["init", "msp"]).expect(0);
    assert!(
        again.out.contains("kept  ./msp/offboard.toml") && !again.out.contains("made"),
        "{}",
        again.out
    );
    let doctor = folder.run(&["-C", "msp", "doctor", "--json"]).expect(0).json();
    assert_eq!(doctor[0]["part"], "installation");
    let worst: Vec<&str> = doctor[0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["severity"].as_str())
        .collect();
    assert!(
        !worst.contains(&"problem") && worst.contains(&"warning"),
        "no tenant yet is a warning: {worst:?}"
    );
}

#[test]
fn a_folder_that_is_none_says_how_to_make_one() {
    let ran = Folder::empty().run(&["list"]).expect(2);
    assert!(ran.out.is_empty());
    assert!(
        ran.err.contains("offboard.toml") && ran.err.contains("offboard init"),
        "{}",
        ran.err
    );
}

#[test]
fn a_wrong_key_is_named_with_a_suggestion() {
    let folder = Folder::with_tenant();
    let file = folder.path().join("tenants/northwind.toml");
    let text = fs::read_to_string(&file).unwrap().replace("time_zone", "time_zoen");
    fs::write(&file, text).unwrap();
    let ran = folder.run(&["list"]).expect(2);
    assert!(
        ran.err.contains("northwind.toml:2") && ran.err.contains("did you mean 'time_zone'?"),
        "{}",
        ran.err
    );
    let json = folder.run(&["list", "--json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(error["error"]["exit"], 2);
}

#[test]
fn doctor_finds_a_lost_key_and_a_system_that_does_not_answer() {
    let folder = Folder::with_tenant();
    let silent = folder.run(&["doctor", "--json"]).expect(1).json();
    assert_eq!(silent[1]["part"], "northwind/m365");
    assert_eq!(silent[1]["findings"][0]["severity"], "problem");
    folder.run(&["doctor", "--offline"]).expect(0);
    fs::remove_file(folder.path().join("keys/signing.pem")).unwrap();
    let ran = folder.run(&["doctor", "--offline"]).expect(1);
    assert!(
        ran.out.contains("the signing key cannot be used") && ran.out.contains("offboard keys create"),
        "{}",
        ran.out
    );
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let folder = Folder::with_tenant();
    let secret = folder.path().join("northwind.secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = folder.run(&["doctor", "--offline"]);
    assert_ne!(ran.code, Some(0));
    assert!((ran.out + &ran.err).contains("chmod 600"));
}

#[test]
fn keys_are_made_once_rotated_and_exported() {
    let folder = Folder::fresh();
    folder.run(&["keys", "create"]).expect(0);
    let first = folder.run(&["keys", "export", "--json"]).expect(0).json();
    let rotated = folder.run(&["keys", "rotate", "--json"]).expect(0).json();
    assert_eq!(rotated["old"], first["id"]);
    let listed = folder.run(&["keys", "list", "--json"]).expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let id = first["id"].as_str().unwrap();
    let old = folder.run(&["keys", "export", "--id", id]).expect(0);
    assert_eq!(old.out, first["pem"].as_str().unwrap());
    folder.run(&["keys", "export", "--id", "ffff-none"]).expect(2);
}

#[test]
fn it_is_asked_who_acts_when_nobody_can_tell() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &crate::support::departure("HR-1", "a@northwind.example"));
    let ran = folder.run_with(&["submit", "one.json"], |c| {
        c.env_remove("OFFBOARD_USER");
    });
    assert!(ran.expect(2).err.contains("--as NAME"));
    folder
        .run_with(&["submit", "one.json", "--as", "anna"], |c| {
            c.env_remove("OFFBOARD_USER");
        })
        .expect(0);
}

#[test]
fn a_real_departure_never_runs_fast() {
    let mut folder = Folder::with_tenant();
    folder.hurry(1_780_000_000_000, 600);
    folder.run(&["list"]).expect(0);
    let file = folder.path().join("tenants/northwind.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text: String = text
        .lines()
        .filter(|l| !l.starts_with("graph_url"))
        .map(|l| format!("{l}\n"))
        .collect();
    fs::write(&file, text).unwrap();
    let ran = folder.run(&["list"]).expect(2);
    assert!(ran.err.contains("https://graph.microsoft.com"), "{}", ran.err);
}
