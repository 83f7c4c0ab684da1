//! A working folder: made, checked, and wrong.

use crate::support::{CERTIFICATE, Credential, Folder, departure};
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
    let ran = folder.run(&["run"]).expect(2);
    assert!(
        ran.err.contains("northwind.toml:2") && ran.err.contains("did you mean 'time_zone'?"),
        "{}",
        ran.err
    );
    let json = folder.run(&["run", "--json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(error["error"]["exit"], 2);
}

#[test]
fn doctor_tells_what_is_wrong_with_one_clients_file_and_looks_at_the_others() {
    let folder = Folder::with_tenant();
    let nowhere = "http://127.0.0.1:9";
    folder.tenant("fabrikam", "fabrikam.example", [nowhere; 4], Credential::Secret);
    let file = folder.path().join("tenants/fabrikam.toml");
    let text = fs::read_to_string(&file).unwrap().replace("time_zone", "time_zoen");
    fs::write(&file, text).unwrap();
    let found = folder.run(&["doctor", "--offline", "--json"]).expect(1).json();
    let parts = found.as_array().unwrap();
    let of = |part: &str| parts.iter().find(|p| p["part"] == part).unwrap()["findings"].clone();
    let told = of("fabrikam");
    assert_eq!(told[0]["severity"], "problem");
    let what = told.to_string();
    assert!(
        what.contains("fabrikam.toml:2") && what.contains("did you mean 'time_zone'?"),
        "{what}"
    );
    assert_eq!(of("northwind/m365")[0]["severity"], "fine");
    // Who asks for one of them is told of that one.
    folder.run(&["doctor", "--offline", "--tenant", "northwind"]).expect(0);
    let own = folder.run(&["doctor", "--offline", "--tenant", "fabrikam"]).expect(1);
    assert!(own.out.contains("fabrikam.toml:2"), "{}", own.out);
    folder.run(&["doctor", "--offline", "--tenant", "contoso"]).expect(2);
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
fn doctor_says_that_a_worker_at_a_site_is_to_have_no_escrow_key() {
    let folder = Folder::with_tenant();
    let engine = "ledger = \"redis://127.0.0.1:9\"\nqueue = \"amqp://127.0.0.1:9/offboard\"\n\n[connect.queue]\nuser = \"offboard-site-berlin\"\npassword = { env = \"OFFBOARD_USER\" }\n";
    folder.write("offboard.toml", engine);
    let doctor = || folder.run(&["doctor", "--offline"]).expect(0).out;
    let said = doctor();
    assert!(
        said.contains("escrow.key opens the recovery keys of every client"),
        "{said}"
    );
    fs::remove_file(folder.path().join("keys/escrow.key")).unwrap();
    let said = doctor();
    assert!(
        said.contains("no escrow key is here, as it is to be at a site"),
        "{said}"
    );
    assert!(!said.contains("device.escrow_recovery_keys"), "{said}");

    // What would need it there is said, too.
    let file = folder.path().join("tenants/northwind.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("kind = \"graph\"\n", "kind = \"graph\"\nsite = \"berlin\"\n"),
    )
    .unwrap();
    let said = doctor();
    assert!(said.contains("device.escrow_recovery_keys"), "{said}");
}

/// A folder of a role, as the broker knows it, with these keys; and the client `northwind` with
/// a directory that each of two sites reaches alone. No secret of any system is here.
fn folder_of(user: &str, keys: &str) -> Folder {
    let folder = Folder::with_tenant();
    fs::remove_file(folder.path().join("northwind.secret")).unwrap();
    let file = folder.path().join("tenants/northwind.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    for site in ["berlin", "hamburg"] {
        text += &format!(
            "\n[systems.ad-{site}]\nkind = \"active_directory\"\nsite = \"{site}\"\ncontrollers = [\"127.0.0.1\"]\n\
             user = \"offboard@corp.example\"\npassword = {{ file = \"only-at-{site}\" }}\n"
        );
    }
    fs::write(file, text).unwrap();
    let engine = format!(
        "ledger = \"redis://127.0.0.1:9\"\nqueue = \"amqp://127.0.0.1:9/offboard\"\nkeys = \"{keys}\"\n\n\
         [connect.queue]\nuser = \"{user}\"\npassword = {{ env = \"OFFBOARD_USER\" }}\n"
    );
    folder.write("offboard.toml", &engine);
    folder
}

/// What doctor says of a system.
fn of_system<'a>(found: &'a serde_json::Value, system: &str) -> Vec<(&'a str, &'a str)> {
    let part = format!("northwind/{system}");
    let parts = found.as_array().unwrap().iter().filter(|p| p["part"] == part.as_str());
    let findings = parts.flat_map(|p| p["findings"].as_array().unwrap());
    findings
        .map(|f| (f["severity"].as_str().unwrap(), f["what"].as_str().unwrap()))
        .collect()
}

#[test]
fn doctor_is_content_with_what_a_worker_at_a_site_is_given_and_looks_at_that_sites_systems_alone() {
    // Where all keys are kept, a site's password is lawfully absent.
    let folder = folder_of("offboard-site-berlin", "given");
    let site = fs::read_to_string(folder.path().join("offboard.toml")).unwrap();
    folder.write("offboard.toml", "");
    folder.write("northwind.secret", "s3cret");
    let secret = folder.path().join("northwind.secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let centre = folder.run(&["doctor", "--offline", "--json"]).expect(0).json();
    for at in ["berlin", "hamburg"] {
        let said = of_system(&centre, &format!("ad-{at}"));
        let neutral = format!("looked at by `offboard doctor` at site {at}");
        assert_eq!(said, [("fine", neutral.as_str())]);
    }
    folder
        .run(&["keys", "worker", "--site", "berlin", "--to", "given"])
        .expect(0);
    fs::remove_file(&secret).unwrap();

    folder.write("offboard.toml", &site);
    let own = folder.write("only-at-berlin", "s3cret");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    let found = folder.run(&["doctor", "--offline", "--json"]).expect(0).json();
    assert!(!found.to_string().contains("offboard keys create"), "{found}");
    let neutral = "looked at by `offboard doctor` at site hamburg";
    assert_eq!(of_system(&found, "ad-hamburg"), [("fine", neutral)]);
    let neutral = "looked at by `offboard doctor` in the folder of a worker at no site";
    assert_eq!(of_system(&found, "m365"), [("fine", neutral)]);
    let asked = of_system(&found, "ad-berlin");
    assert!(
        asked
            .iter()
            .all(|(severity, what)| *severity == "fine" && !what.contains("looked at by")),
        "{asked:?}"
    );

    // What it is to have is missed.
    fs::remove_file(&own).unwrap();
    let found = folder.run(&["doctor", "--offline", "--json"]).expect(1).json();
    assert_eq!(of_system(&found, "ad-berlin")[0].0, "problem");
    folder.write("only-at-berlin", "s3cret");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(folder.path().join("given/queues/ob.v1.identity.urgent.berlin.key")).unwrap();
    let lacking = folder.run(&["doctor", "--offline"]).expect(1).out;
    assert!(
        lacking.contains("a key of a queue cannot be used") && lacking.contains("offboard keys worker --site berlin"),
        "{lacking}"
    );
    fs::remove_dir_all(folder.path().join("given/queues")).unwrap();
    let none = folder.run(&["doctor", "--offline"]).expect(1).out;
    assert!(none.contains("no key of a queue is here"), "{none}");
}

#[test]
fn doctor_misses_in_a_roles_folder_what_that_role_needs_and_nothing_else() {
    for (user, needed) in [
        ("offboard-dispatcher", &["master.key", "dispatch.key"][..]),
        ("offboard-closer", &["master.key", "signing.pem"]),
        ("offboard-worker-device", &["dispatch.key", "escrow.key"]),
    ] {
        let folder = folder_of(user, "given");
        let path = |name: &str| folder.path().join("given").join(name);
        fs::create_dir(folder.path().join("given")).unwrap();
        for name in needed {
            fs::copy(folder.path().join("keys").join(name), path(name)).unwrap();
        }
        if user == "offboard-worker-device" {
            // It asks the systems that are reached from anywhere.
            let secret = folder.write("northwind.secret", "s3cret");
            fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let found = folder.run(&["doctor", "--offline", "--json"]).expect(0).json();
        let asked = of_system(&found, "m365");
        let elsewhere = asked.iter().any(|(_, what)| what.ends_with("in a worker's folder"));
        assert_eq!(elsewhere, user != "offboard-worker-device", "{user}: {asked:?}");
        for name in needed {
            fs::rename(path(name), path("elsewhere")).unwrap();
            let lacking = folder.run(&["doctor", "--offline"]);
            // Without the dispatch key a worker has no key of a queue, so it serves no area.
            lacking.expect(1);
            fs::rename(path("elsewhere"), path(name)).unwrap();
        }
    }
}

/// A folder with a user that is none of ours is everything, or has all keys.
#[test]
fn doctor_misses_the_dispatch_key_where_the_brokers_user_is_none_of_ours() {
    let folder = folder_of("somebody", "keys");
    let misses = || {
        let said = folder.run(&["doctor", "--offline"]).out;
        said.contains("the dispatch key cannot be used")
    };
    assert!(!misses());
    fs::remove_file(folder.path().join("keys/dispatch.key")).unwrap();
    assert!(misses());
}

#[test]
fn doctor_warns_of_a_key_that_has_no_place_in_a_roles_folder() {
    for (user, expected) in [
        ("offboard-dispatcher", &["signing.pem signs evidence"][..]),
        ("offboard-closer", &[]),
        (
            "offboard-worker-identity",
            &["signing.pem signs evidence", "master.key opens the history"],
        ),
        (
            "offboard-site-berlin",
            &["signing.pem signs evidence", "master.key opens the history"],
        ),
    ] {
        let folder = folder_of(user, "keys");
        let found = folder.run(&["doctor", "--offline", "--json"]).json();
        let findings = found[0]["findings"].as_array().unwrap();
        let warned: Vec<&str> = findings
            .iter()
            .filter(|f| f["severity"] == "warning")
            .filter_map(|f| f["what"].as_str())
            .filter(|what| what.contains("signing.pem") || what.contains("master.key"))
            .collect();
        assert_eq!(warned.len(), expected.len(), "{user}: {warned:?}");
        for (warned, expected) in warned.iter().zip(expected) {
            assert!(warned.contains(expected), "{user}: {warned}");
        }
    }
}

#[test]
fn doctor_misses_public_keys_where_a_dispatcher_has_evidence_to_verify() {
    let folder = folder_of("offboard-dispatcher", "keys");
    let warns = || {
        let said = folder.run(&["doctor", "--offline"]).expect(0).out;
        said.contains("no public key is here, so `offboard verify CASE` cannot say")
    };
    let evidence = folder.path().join("evidence");
    fs::create_dir_all(&evidence).unwrap();
    assert!(!warns());
    fs::remove_dir_all(folder.path().join("keys/public")).unwrap();
    assert!(warns());
    fs::remove_dir_all(&evidence).unwrap();
    assert!(!warns(), "it is for a folder that has evidence");
}

#[test]
fn doctor_warns_of_a_credit_that_lets_one_client_fill_a_worker() {
    let folder = Folder::with_tenant();
    let says = || {
        let said = folder.run(&["doctor", "--offline"]).expect(0).out;
        said.contains("one tenant may have 150 assignments of mailbox in flight (normal), and a worker has 64 places")
    };
    assert!(!says());
    folder.write("offboard.toml", "[admission.credit]\nmailbox = { normal = 200 }\n");
    assert!(says());
}

/// Who serves decides by what he has read; where nobody does, nothing is decided by less than
/// all of it: a reference would fit one case where it fits two.
#[test]
fn beside_one_clients_half_written_file_nothing_is_decided_without_that_client() {
    let folder = Folder::with_tenant();
    let nowhere = "http://127.0.0.1:9";
    folder.tenant("fabrikam", "fabrikam.example", [nowhere; 4], Credential::Secret);
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    folder.write("two.json", &departure("HR-2", "c@northwind.example"));
    folder.write(
        "other.json",
        &departure("HR-2", "b@fabrikam.example").replace("\"northwind\"", "\"fabrikam\""),
    );
    for file in ["one.json", "two.json", "other.json"] {
        folder.run(&["submit", file]).expect(0);
    }
    let serving = folder.serve();
    folder.write("tenants/fabrikam.toml", "name = \"Fabrikam\"\ntime_zone = \"UT");
    let place = "fabrikam.toml:2: not valid TOML";
    // What only asks whoever serves the folder is his to decide.
    let cancel = |case| folder.run(&["cancel", case, "--reason", "she stays"]);
    cancel("HR-1").expect(0);
    let fits_two = cancel("HR-2").expect(2);
    assert!(fits_two.err.contains("fits several"), "{}", fits_two.err);
    let paused = folder.run(&["pause", "--all"]).expect(0);
    assert!(paused.out.contains("fabrikam"), "{}", paused.out);
    let day = folder
        .run(&["pause", "--tenant", "fabrikam", "--until", "2999-01-31"])
        .expect(2);
    assert!(day.err.contains("its time zone is not known"), "{}", day.err);
    folder.run(&["resume", "--tenant", "fabrikam"]).expect(0);
    // What a row says is decided by whoever reads it.
    for args in [
        &["submit", "one.json"][..],
        &["submit", "other.json", "--json"],
        &["plan", "--tenant", "fabrikam", "--person", "b@fabrikam.example"],
        &["run", "other.json", "--tenant", "fabrikam"],
    ] {
        let ran = folder.run(args).expect(2);
        assert!(ran.err.contains(place), "{args:?}: {}", ran.err);
    }
    serving.signal("TERM");
    serving.wait().expect(0);
    // Where nobody serves it, who only looks goes on and is told.
    for args in [&["list"][..], &["show", "northwind/HR-2"], &["why", "northwind/HR-2"]] {
        let ran = folder.run(args).expect(0);
        assert!(ran.out.contains("northwind"), "{args:?}: {}", ran.out);
        assert!(
            ran.err.contains("note:") && ran.err.contains(place),
            "{args:?}: {}",
            ran.err
        );
    }
    folder.run(&["keys", "list"]).expect(0);
    for args in [
        &["cancel", "HR-2", "--reason", "she stays"][..],
        &["retry", "northwind/HR-2"],
        &["pause", "--all"],
        &["run"],
        &["serve"],
    ] {
        let ran = folder.run(args).expect(2);
        assert!(ran.err.contains(place), "{args:?}: {}", ran.err);
    }
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
fn evidence_is_not_called_invalid_where_only_the_key_is_missing() {
    let folder = Folder::fresh();
    let sealed = r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"0123456789abcdef","sig":"AA=="}]}"#;
    folder.write("sealed.dsse.json", sealed);
    folder.run(&["keys", "rotate"]).expect(0);
    let listed = folder.run(&["keys", "list", "--json"]).expect(0).json();
    let ids: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k["id"].as_str().unwrap())
        .collect();
    // By another key than all that there are: each that was tried is named.
    let ran = folder.run(&["verify", "sealed.dsse.json"]).expect(4);
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| ran.err.contains(*id)), "{ids:?}: {}", ran.err);
    assert!(ran.err.contains("0123456789abcdef"), "{}", ran.err);

    let public = folder.path().join("keys/public");
    for pem in fs::read_dir(&public).unwrap() {
        fs::remove_file(pem.unwrap().path()).unwrap();
    }
    for there in [true, false] {
        if !there {
            fs::remove_dir(&public).unwrap();
        }
        let ran = folder.run(&["verify", "sealed.dsse.json"]).expect(2);
        assert!(
            ran.err.contains("--key") && ran.err.contains("keys/public") && !ran.err.contains("not valid"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn it_is_asked_who_acts_when_nobody_can_tell() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
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
fn what_another_process_holds_and_does_not_serve_is_read_as_it_stands() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    folder.run(&["submit", "one.json"]).expect(0);
    let held = fs::File::open(folder.path().join("data/ledger.db.lock")).unwrap();
    held.lock().unwrap();
    for command in [&["list"][..], &["show", "HR-1"], &["why", "HR-1"]] {
        let ran = folder.run(command).expect(0);
        assert!(ran.out.contains("northwind"), "{command:?}: {}", ran.out);
        assert!(
            ran.err.contains("as it stands at this moment") && ran.err.contains("has it open"),
            "{command:?}: {}",
            ran.err
        );
    }
    drop(held);
    let ran = folder.run(&["list"]).expect(0);
    assert!(!ran.err.contains("as it stands"), "{}", ran.err);
}

/// Whoever plans looks at the same ledger, and takes it from nobody.
#[test]
fn a_plan_says_that_the_successors_own_departure_is_open_already() {
    let folder = Folder::with_tenant();
    let leaver = departure("HR-1", "anna@northwind.example");
    let successor = r#""successor":{"user_principal_name":"bert@northwind.example"},"person""#;
    folder.write("anna.json", &leaver.replacen(r#""person""#, successor, 1));
    let plan = || folder.run(&["plan", "anna.json", "--json"]).expect(3);
    let nothing_is_open = plan();
    assert!(nothing_is_open.json()["plans"][0].get("warnings").is_none());
    assert!(!nothing_is_open.err.contains("note:"), "{}", nothing_is_open.err);
    assert!(!folder.path().join("data/ledger.db").exists(), "to look made a ledger");

    folder.write("bert.json", &departure("HR-2", "bert@northwind.example"));
    let accepted = folder.run(&["submit", "bert.json", "--json"]).expect(0).json();
    let case = accepted["accepted"][0]["case"].as_str().unwrap();
    let held = fs::File::open(folder.path().join("data/ledger.db.lock")).unwrap();
    held.lock().unwrap();
    let planned = plan().json();
    let warnings = planned["plans"][0]["warnings"].as_array().unwrap();
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}")
    };
    let warning = warning.as_str().unwrap();
    assert!(warning.contains("leaves too") && warning.contains(case), "{warning}");
    let said = folder.run(&["plan", "anna.json"]).expect(3).err;
    assert!(said.contains("warning:") && said.contains(case), "{said}");
    drop(held);
    // Whoever stays after all is no reason to warn.
    let off = ["cancel", case, "--reason", "he stays", "--as", "lead@acme.example"];
    folder.run(&off).expect(0);
    let after = plan().json();
    assert!(after["plans"][0].get("warnings").is_none(), "{after}");
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

#[test]
fn mounted_keys_become_private_ones_each_where_it_is_looked_for() {
    let folder = Folder::empty();
    // As Kubernetes mounts a secret for a group: names that are links into a
    // generation, readable by others.
    let generation = folder.path().join("mounted/..2026");
    fs::create_dir_all(&generation).unwrap();
    let mounted = |name: &str, text: &str| {
        fs::write(generation.join(name), text).unwrap();
        fs::set_permissions(generation.join(name), fs::Permissions::from_mode(0o440)).unwrap();
        let link = folder.path().join("mounted").join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(generation.join(name), link).unwrap();
        }
    };
    let files = [
        ("master.key", "keys/master.key"),
        ("queue.password", "keys/queue.password"),
        ("ob.v1.identity.urgent.key", "keys/queues/ob.v1.identity.urgent.key"),
        (
            "ob.v1.desk.normal.berlin.key",
            "keys/queues/ob.v1.desk.normal.berlin.key",
        ),
    ];
    for generation in ["first", "second"] {
        for (name, _) in files {
            mounted(name, &format!("{name} {generation}"));
        }
        // No configuration is there yet; what an earlier start copied is.
        let copied = folder
            .run(&["keys", "copy", "--from", "mounted", "--to", "keys", "--json"])
            .expect(0)
            .json();
        assert_eq!(copied["copied"].as_array().unwrap().len(), files.len(), "{copied}");
        for (name, path) in files {
            let path = folder.path().join(path);
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{name} {generation}"));
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600,
                "{name}"
            );
            let private = fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777;
            assert_eq!(private, 0o700, "{name}");
        }
        let left: Vec<_> = fs::read_dir(folder.path().join("keys")).unwrap().collect();
        assert_eq!(left.len(), 3, "nothing else: {left:?}");
    }
}

#[test]
fn a_mounted_public_half_is_where_evidence_is_verified_with_it() {
    let folder = Folder::fresh();
    fs::create_dir(folder.path().join("mounted")).unwrap();
    let half = folder.run(&["keys", "export"]).expect(0).out;
    folder.write("mounted/5f0c2e1a.pem", &half);
    folder.write("mounted/authority.pem", CERTIFICATE);
    fs::copy(
        folder.path().join("keys/signing.pem"),
        folder.path().join("mounted/signing.pem"),
    )
    .unwrap();
    folder
        .run(&["keys", "copy", "--from", "mounted", "--to", "given"])
        .expect(0);
    let given = |name: &str| folder.path().join("given").join(name).is_file();
    assert!(given("public/5f0c2e1a.pem") && given("authority.pem") && given("signing.pem"));
    folder.write("offboard.toml", "keys = \"given\"\n");
    folder.write("no-evidence.json", "{}");
    // A key is there, so it is said that this is no evidence.
    folder.run(&["verify", "no-evidence.json"]).expect(4);
}

#[test]
fn what_is_no_mounted_key_is_refused() {
    let folder = Folder::empty();
    fs::create_dir(folder.path().join("mounted")).unwrap();
    let copy = ["keys", "copy", "--from", "mounted", "--to", "keys"];
    let empty = folder.run(&copy).expect(2);
    assert!(empty.err.contains("mounted holds no file"), "{}", empty.err);
    folder.write("mounted/large", &"x".repeat(65_537));
    let large = folder.run(&copy).expect(2);
    assert!(large.err.contains("so it is no key or secret"), "{}", large.err);
    assert!(!folder.path().join("keys").exists());
    let absent = folder
        .run(&["keys", "copy", "--from", "elsewhere", "--to", "keys"])
        .expect(1);
    assert!(absent.err.contains("failed to list elsewhere"), "{}", absent.err);
}

#[test]
fn health_says_how_the_process_is_and_what_it_lacks() {
    let folder = Folder::with_tenant();
    let nowhere = folder.run(&["health"]).expect(2);
    assert!(nowhere.err.contains("telemetry.listen"), "{}", nowhere.err);
    let port = offboard_servers::free_port().unwrap();
    folder.write("offboard.toml", &format!("[telemetry]\nlisten = \"0.0.0.0:{port}\"\n"));
    let silent = folder.run(&["health"]).expect(1);
    assert!(
        silent.err.contains(&format!("failed to ask 127.0.0.1:{port}")),
        "{}",
        silent.err
    );
    let serving = folder.serve();
    crate::support::until("it is well", || folder.run(&["health"]).code == Some(0));
    let ready = folder.run(&["health"]).expect(0).out;
    assert!(ready.contains("✓ ledger\n") && ready.contains("✓ started\n"), "{ready}");
    let alive = folder.run(&["health", "--alive", "--json"]).expect(0).json();
    assert_eq!(alive["alive"], true, "{alive}");
    drop(serving);
    // Whoever else listens there is not taken for it.
    let other = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = other.accept().unwrap();
        assert_ne!(stream.read(&mut [0; 512]).unwrap(), 0);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
    });
    let strange = folder.run(&["health"]).expect(1);
    assert!(strange.err.contains("no process of Offboard"), "{}", strange.err);
    answering.join().unwrap();
}

#[test]
fn a_terminal_that_goes_ends_a_server_gracefully_unless_it_is_to_outlive_it() {
    let folder = Folder::with_tenant();
    // Whoever runs the tests may himself be one that outlives his terminal.
    let default = ["--default-signal=HUP", env!("CARGO_BIN_EXE_offboard"), "serve"];
    let mut serving = folder.start_instead("env", &default);
    folder.until_served_by(&mut serving);
    serving.signal("HUP");
    let ran = serving.wait().expect(0);
    assert!(ran.err.contains("Stopping"), "{}", ran.err);

    // As `nohup` starts it.
    let script = "trap '' HUP; exec \"$0\" serve";
    let mut serving = folder.start_instead("/bin/sh", &["-c", script, env!("CARGO_BIN_EXE_offboard")]);
    folder.until_served_by(&mut serving);
    let status = fs::read_to_string(format!("/proc/{}/status", serving.process())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & 1, 1, "a hangup is still ignored");
    serving.signal("TERM");
    serving.wait().expect(0);
}

#[test]
fn doctor_finds_a_disk_that_takes_no_more_and_a_public_half_that_is_not_there() {
    let folder = Folder::with_tenant();
    let fine = folder.run(&["doctor", "--offline"]).expect(0);
    assert!(
        fine.out.contains("evidence folder") && fine.out.contains("MiB are free"),
        "{}",
        fine.out
    );
    // A megabyte is left: an empty file, and the ledger's own small ones, still fit.
    let full = folder.run_limited(2_000, &["doctor", "--offline"]).expect(1);
    for shown in ["ledger's folder", "evidence folder"] {
        let told = full
            .out
            .lines()
            .any(|l| l.contains(shown) && l.contains("cannot be written to"));
        assert!(told, "{shown}: {}", full.out);
    }

    let public = folder.path().join("keys/public");
    for half in fs::read_dir(&public).unwrap() {
        fs::remove_file(half.unwrap().path()).unwrap();
    }
    let lost = folder.run(&["doctor", "--offline"]).expect(1);
    assert!(lost.out.contains("the public key cannot be used"), "{}", lost.out);
    folder.run(&["keys", "create"]).expect(0);
    folder.run(&["doctor", "--offline"]).expect(0);
}
