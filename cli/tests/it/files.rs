//! A process that serves a folder and may suddenly open no more files: neither
//! its store nor the vendor nor whoever asks it anything. It says so, lives on,
//! and finishes the departure when it may again.

use crate::stage::{LEAD, ROUNDS, Stage, attend};
use crate::support::until;
use std::os::unix::net::UnixStream;

/// Fewer than it has open: nothing more can be opened.
const NO_FILES: u32 = 3;
const USUAL_FILES: u32 = 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_may_open_no_more_files_says_so_and_loses_nothing() {
    let stage = Stage::hurried().await;
    let folder = &stage.folder;
    folder.write("receipt.txt", "handed over at the desk");
    let mut serving = folder.serve();
    let file = stage.leavers(&[("HR-1", stage.cast().plain.as_str())]);
    folder.run(&["submit", &file]).expect(0);

    serving.limit_files(NO_FILES);
    // Whoever asks now is not let in.
    let asking = UnixStream::connect(folder.socket()).unwrap();
    until("it says that it can open nothing", || {
        serving.logged_so_far().contains("Too many open files")
    });
    assert!(serving.is_running(), "{}", serving.logged_so_far());
    serving.limit_files(USUAL_FILES);
    drop(asking);

    let mut rounds = 0;
    until("the departure has ended", || {
        rounds += 1;
        assert!(rounds < ROUNDS, "{}", folder.run(&["why", "HR-1"]).out);
        // What failed too often meanwhile is ordered again.
        attend(folder, "HR-1", |case, need| {
            drop(folder.run(&["retry", case, need["task"].as_str().unwrap(), "--as", LEAD]));
        })
    });
    let verified = folder.run(&["verify", "HR-1", "--json"]).expect(0).json();
    assert_eq!(verified["valid"], true);
    serving.signal("TERM");
    let said = serving.wait().expect(0).err;
    assert!(!said.contains("panicked"), "{said}");
    let world = stage.world();
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}
