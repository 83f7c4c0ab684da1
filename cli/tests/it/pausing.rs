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
    let gates = paused(&["pause"]);
    assert_eq!(gates.as_array().map(Vec::len), Some(2), "{gates}");
    let gates = paused(&["resume", "--tenant", "northwind", "--kind", "device.wipe"]);
    assert_eq!(gates.as_array().map(Vec::len), Some(1), "{gates}");
    serving.signal("TERM");
    serving.wait().expect(0);
}
