//! What somebody sees who sits at a terminal, and what stands in a file when he
//! sits at none.

use crate::stage::Stage;
use crate::support::{Folder, Ran, until};

/// A program whose output is a terminal: `script` gives it one (it is part of
/// every Debian), and everything that is drawn there is its output.
fn at_a_terminal(folder: &Folder, args: &str) -> Ran {
    let line = format!("stty cols 120 rows 40; exec {} {args}", env!("CARGO_BIN_EXE_offboard"));
    folder
        .start_instead(
            "script",
            &["--quiet", "--return", "--flush", "--command", &line, "/dev/null"],
        )
        .wait()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_a_run_draws_and_elsewhere_it_writes_lines() {
    let stage = Stage::hurried().await;
    let file = stage.leavers(&[("HR-1", stage.cast().plain.as_str())]);
    // Nobody approves: it stops where only a person is waited for.
    let drawn = at_a_terminal(&stage.folder, &format!("run {file}"));
    assert_eq!(drawn.code, Some(3), "{}{}", drawn.out, drawn.err);
    let screen = &drawn.out;
    let erases = screen.matches("\u{1b}[2K").count();
    assert!(erases > 3, "nothing was drawn over: {screen:?}");
    assert!(screen.contains("tasks"), "there is no bar: {screen:?}");
    let last = screen.rsplit("\u{1b}[2K").next().unwrap();
    assert!(last.contains("1 need a person"), "{last:?}");
    assert!(!last.contains('█'), "the bar was left behind: {last:?}");

    let written = stage.folder.run(&["run", &file]).expect(3);
    for text in [&written.out, &written.err] {
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    assert!(written.err.contains("1 need a person"), "{}", written.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_watching_draws_one_table_until_ctrl_c() {
    let stage = Stage::hurried().await;
    let file = stage.leavers(&[("HR-1", stage.cast().plain.as_str())]);
    stage.folder.run(&["submit", &file]).expect(0);
    // Whoever draws can be interrupted: he is once something was drawn.
    let watching = format!(
        "sh -c '{} watch & until [ -e drawn ]; do sleep 0.1; done; kill -INT $!; wait $!'",
        env!("CARGO_BIN_EXE_offboard")
    );
    let running = stage.folder.start_instead(
        "script",
        &["--quiet", "--return", "--flush", "--command", &watching, "/dev/null"],
    );
    until("it draws", || running.said_so_far().contains("HR-1"));
    stage.folder.write("drawn", "");
    let drawn = running.wait();
    assert!(drawn.out.contains("HR-1"), "{:?}", drawn.out);
    assert!(drawn.out.contains('\u{1b}'), "nothing was drawn: {:?}", drawn.out);
}
