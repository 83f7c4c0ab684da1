//! What somebody sees who sits at a terminal, and what stands in a file when he
//! sits at none. What is written to the terminal is played here as one would show it:
//! that something is drawn in place is seen by there never being more of it.

use crate::stage::Stage;
use crate::support::{Folder, Running, until};

/// As wide as the terminal is.
const COLUMNS: usize = 120;

/// Something that has a terminal for its output: `script` gives it one (it is part of
/// every Debian), and everything that is drawn there is its own output.
fn at_a_terminal(folder: &Folder, script: &str) -> Running {
    let line = format!("stty cols {COLUMNS} rows 40; {script}");
    folder.start_instead(
        "script",
        &["--quiet", "--return", "--flush", "--command", &line, "/dev/null"],
    )
}

/// The program, in a shell's words.
fn program(args: &str) -> String {
    format!("{} {args}", env!("CARGO_BIN_EXE_offboard"))
}

/// The program, and a Ctrl-C as soon as there is a file `drawn`. Ends as it does.
fn interrupted(args: &str) -> String {
    let program = program(args);
    format!("{program} & until [ -e drawn ]; do sleep 0.1; done; kill -INT $!; wait $!")
}

/// What stands on a terminal, and where its cursor is.
#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    /// The line that the cursor is in.
    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.row += 1,
            c => {
                // Only what does not fit any more begins the next line.
                if self.column == COLUMNS {
                    (self.row, self.column) = (self.row + 1, 0);
                }
                let column = self.column;
                let line = self.line();
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = c;
                self.column += 1;
            }
        }
    }

    fn text(&self) -> Vec<String> {
        let text = |line: &Vec<char>| line.iter().collect::<String>().trim_end().to_owned();
        self.lines.iter().map(text).collect()
    }
}

/// What stood there each time before the cursor went up, to draw over it, and in the end.
fn screens(written: &str) -> Vec<Vec<String>> {
    let mut screen = Screen::default();
    let mut all = Vec::new();
    for (n, piece) in written.split('\u{1b}').enumerate() {
        let mut plain = piece;
        if n > 0 {
            // An order ends with its letter; what is cut off in its midst is none yet.
            let Some(end) = piece.find(|c: char| c.is_ascii_alphabetic()) else {
                break;
            };
            let (order, rest) = piece.split_at(end + 1);
            plain = rest;
            let lines = order.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(1);
            match order.chars().last() {
                Some('A') => {
                    all.push(screen.text());
                    screen.row = screen.row.saturating_sub(lines);
                }
                Some('B') => screen.row += lines,
                Some('K') => screen.line().clear(),
                // Colours, and how the cursor looks.
                _ => {}
            }
        }
        for c in plain.chars() {
            screen.put(c);
        }
    }
    all.push(screen.text());
    all
}

/// The bars of a run on this screen: that over everything, and those of cases.
fn bars(screen: &[String]) -> (Vec<&String>, Vec<&String>) {
    let drawn = screen.iter().filter(|line| line.contains(['━', '─']));
    drawn.partition(|line| line.contains(" tasks"))
}

/// How many of how many tasks this line tells of.
fn progress(line: &str) -> Option<(u32, u32)> {
    let told = |word: &str| -> Option<(u32, u32)> {
        let (settled, total) = word.split_once('/')?;
        Some((settled.parse().ok()?, total.parse().ok()?))
    };
    line.split_whitespace().find_map(told)
}

/// Whether everything is there that two cases have.
fn shows_two_cases(screen: &[String]) -> bool {
    let (overall, cases) = bars(screen);
    let told = |line: &&String| progress(line).is_some_and(|(settled, total)| settled <= total && total > 0);
    overall.len() == 1 && overall[0].contains("0/2 cases") && cases.len() == 2 && cases.iter().all(told)
}

/// That a run of two cases drew a line for each, in place, and left none of it.
fn drew_two_cases_in_place(written: &str) {
    let screens = screens(written);
    assert!(
        screens.iter().any(|s| shows_two_cases(s)),
        "two cases were never shown: {written:?}"
    );
    for screen in &screens {
        let (overall, cases) = bars(screen);
        assert!(overall.len() <= 1 && cases.len() <= 2, "not in place: {screen:#?}");
    }
    let (overall, cases) = bars(screens.last().unwrap());
    assert!(overall.is_empty() && cases.is_empty(), "left behind: {written:?}");
}

/// Two whose plans wait for somebody who approves them.
fn two_leavers(stage: &Stage) -> String {
    let cast = stage.cast();
    stage.leavers(&[("HR-1", cast.plain.as_str()), ("HR-2", cast.group_licensed.as_str())])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_a_run_draws_and_elsewhere_it_writes_lines() {
    let stage = Stage::hurried().await;
    let file = two_leavers(&stage);
    // Nobody approves: it stops where only a person is waited for.
    let run = program(&format!("run {file}"));
    let drawn = at_a_terminal(&stage.folder, &run).wait().expect(3);
    drew_two_cases_in_place(&drawn.out);
    let last = screens(&drawn.out).pop().unwrap();
    assert!(last.iter().any(|l| l.starts_with("2 need a person")), "{last:#?}");

    let written = stage.folder.run(&["run", &file]).expect(3);
    for text in [&written.out, &written.err] {
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    assert!(written.err.contains("2 need a person"), "{}", written.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_a_run_that_is_interrupted_wipes_what_it_drew_and_says_what_goes_on() {
    let stage = Stage::hurried().await;
    let file = two_leavers(&stage);
    let running = at_a_terminal(&stage.folder, &interrupted(&format!("run {file} --wait")));
    until("it shows both", || {
        screens(&running.said_so_far()).iter().any(|s| shows_two_cases(s))
    });
    stage.folder.write("drawn", "");
    let drawn = running.wait().expect(130);
    drew_two_cases_in_place(&drawn.out);
    let last = screens(&drawn.out).pop().unwrap();
    assert!(last.iter().any(|l| l.contains("2 go on where they are")), "{last:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_watching_draws_one_table_until_ctrl_c() {
    let stage = Stage::hurried().await;
    let file = two_leavers(&stage);
    stage.folder.run(&["submit", &file]).expect(0);
    let running = at_a_terminal(&stage.folder, &interrupted("watch"));
    // It goes up before it erases, and after.
    until("it has drawn three times", || screens(&running.said_so_far()).len() > 4);
    stage.folder.write("drawn", "");
    let drawn = running.wait().expect(130);
    let screens = screens(&drawn.out);
    let lines = |screen: &[String], what: &str| -> Vec<String> {
        let of_it = screen.iter().filter(|line| line.contains(what));
        of_it.cloned().collect()
    };
    for screen in &screens {
        for what in ["2 cases", "REFERENCE", " HR-1 ", " HR-2 "] {
            assert!(lines(screen, what).len() <= 1, "not in place: {screen:#?}");
        }
        // The line over all, the head of the table, and a line for each case.
        let written = screen.iter().filter(|line| !line.is_empty()).count();
        assert!(written <= 4, "not in place: {screen:#?}");
    }
    // Before it goes up it stands there whole.
    let whole = |screen: &Vec<String>| {
        let told = |what| lines(screen, what).first().and_then(|line| progress(line));
        lines(screen, "2 cases").len() == 1 && [" HR-1 ", " HR-2 "].into_iter().all(|c| told(c) == Some((0, 1)))
    };
    assert!(screens.iter().any(whole), "{:?}", drawn.out);
}
