//! Pausing from the command line, with and without a process that serves.

use crate::support::Folder;

#[test]
fn what_is_paused_is_listed_and_goes_on_when_it_is_resumed() {
    let folder = Folder::with_tenant();
    let paused = |args: &[&str]| folder.run(&[args, &["--json"]].concat()).expect(0).json();
    assert_eq!(paused(&["resume"]), serde_json::json!([]), "nothing is paused");
    let said = folder
        .run(&["pause", "--tenant", "northwind", "--kind", "device.wipe"])
        .expect(0);
    assert!(said.out.contains("device.wipe"), "{}{}", said.out, said.err);
    let gates = paused(&["resume"]);
    assert_eq!(gates.as_array().map(Vec::len), Some(1), "{gates}");

    // The same while somebody serves the folder.
    let serving = folder.serve();
    let gates = paused(&["pause", "--all"]);
    assert_eq!(gates.as_array().map(Vec::len), Some(2), "{gates}");
    let gates = paused(&["resume", "--tenant", "northwind", "--kind", "device.wipe"]);
    assert_eq!(gates.as_array().map(Vec::len), Some(1), "{gates}");
    // What was paused as a whole ends, and nothing else.
    paused(&["pause", "--system", "m365"]);
    let gates = paused(&["resume", "--all"]);
    assert_eq!(gates.as_array().map(Vec::len), Some(1), "{gates}");
    assert_eq!(gates[0]["name"], "pause/m365", "{gates}");
    // Every client is every one that there is now.
    for (args, said) in [
        (&["pause", "--all"][..], true),
        (&["pause", "--tenant", "northwind"][..], false),
    ] {
        let err = folder.run(args).expect(0).err;
        assert_eq!(
            err.contains("A client that is added from now on is not paused"),
            said,
            "{err}"
        );
    }
    serving.signal("TERM");
    serving.wait().expect(0);
}

#[test]
fn what_does_not_exist_is_not_paused_and_everything_only_when_it_is_said() {
    let folder = Folder::with_tenant();
    let wrong: &[(&[&str], &str)] = &[
        (&["--tenant", "nortwind"], "did you mean 'northwind'?"),
        (&["--system", "m356"], "did you mean 'm365'?"),
        (&["--tenant", "northwind", "--system", "m356"], "has no system 'm356'"),
        (&["--kind", "device.wype"], "did you mean device.wipe?"),
        (&["--tenant", "northwind", "--until", "2020-01-31"], "is over"),
        (&[], "--all"),
        (&["--all", "--tenant", "northwind"], "cannot be used with"),
    ];
    for (args, said) in wrong {
        let ran = folder.run(&[&["pause"][..], *args].concat()).expect(2);
        assert!(ran.err.contains(*said), "{args:?}: {}", ran.err);
    }
    let shown = folder.run(&["resume", "--json"]).expect(0).json();
    assert_eq!(shown, serde_json::json!([]));
    let said = folder
        .run(&["pause", "--tenant", "northwind", "--as", "bob@msp.example"])
        .expect(0);
    assert!(said.out.contains("paused by bob@msp.example"), "{}", said.out);
}
