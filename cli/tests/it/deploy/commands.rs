//! Command lines of ours that stand in files: each is handed to the program's
//! own parser.

use crate::deploy::files::{read, root, under};
use clap::Parser as _;
use clap::error::ErrorKind;
use offboard_cli::args::{Cli, Command};

/// Parses a command line without the program's name, as the program would.
#[track_caller]
pub(crate) fn accepted(args: &[String], at: &str) -> Command {
    let line = std::iter::once("offboard".to_owned()).chain(args.iter().cloned());
    Cli::try_parse_from(line)
        .unwrap_or_else(|e| panic!("{at}: offboard {}\n{e}", args.join(" ")))
        .command
}

/// A line as a shell splits it, up to where it redirects or goes on to another
/// program.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '<' | '>' | '|' | '#' | ';' | '&') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What comes before the program's own arguments, in the forms that the pages use.
const BEFORE: [&str; 3] = [" /usr/local/bin/offboard", "run --rm -T clerk", "run --rm clerk"];

/// The arguments of every command of ours in a line of a code block, or in a
/// span of code.
fn of_line(line: &str) -> Option<Vec<String>> {
    if let Some((_, after)) = BEFORE.iter().find_map(|b| line.split_once(b)) {
        return Some(words(after)).filter(|w| !w.is_empty());
    }
    let line = line.trim_start();
    let line = match line.strip_prefix("sudo -u ") {
        Some(rest) => rest.split_once(' ')?.1,
        None => line,
    };
    let rest = line.strip_prefix("offboard ")?;
    Some(words(rest)).filter(|w| !w.is_empty())
}

/// A command that stands in a page.
#[derive(Debug)]
struct Quoted {
    args: Vec<String>,
    /// In a sentence, where a command may be named without its arguments, or
    /// only its beginning.
    spoken: bool,
}

impl Quoted {
    fn is_one(&self) -> Result<(), clap::Error> {
        let parsed =
            |args: &[String]| Cli::try_parse_from(std::iter::once("offboard").chain(args.iter().map(String::as_str)));
        match parsed(&self.args) {
            Err(e) if e.kind() == ErrorKind::DisplayHelp => Ok(()),
            Err(e)
                if self.spoken
                    && [ErrorKind::MissingRequiredArgument, ErrorKind::MissingSubcommand].contains(&e.kind()) =>
            {
                let mut help = self.args.clone();
                help.push("--help".to_owned());
                match parsed(&help) {
                    Err(shown) if shown.kind() == ErrorKind::DisplayHelp => Ok(()),
                    _ => Err(e),
                }
            }
            other => other.map(|_| ()),
        }
    }
}

/// Every command of ours in a page: in code blocks, fenced or indented by four,
/// and in spans of code.
fn of_page(text: &str) -> Vec<Quoted> {
    let mut found = Vec::new();
    let mut prose = String::new();
    let mut fenced = false;
    let joined = text.replace("\\\n", " ");
    for line in joined.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            found.extend(of_line(line).map(|args| Quoted { args, spoken: false }));
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    // A span may run over a line's end.
    let spans = prose.split('`').skip(1).step_by(2).map(|s| s.replace('\n', " "));
    found.extend(
        spans
            .filter_map(|s| of_line(&s))
            .map(|args| Quoted { args, spoken: true }),
    );
    found
}

#[test]
fn every_command_in_the_pages_is_one() {
    let mut pages: Vec<_> = under(&root().join("deploy")).into_iter().collect();
    pages.retain(|p| p.extension().is_some_and(|x| x == "md"));
    pages.extend(
        [
            "README.md",
            "docs/cli.md",
            "docs/operations.md",
            "docs/archive.md",
            "docs/observability.md",
        ]
        .map(Into::into),
    );
    let mut all = 0;
    for page in pages {
        for quoted in of_page(&read(&page)) {
            // `offboard COMMAND --help`: any.
            if quoted.args[0] != "COMMAND" {
                let why = quoted.is_one();
                assert!(
                    why.is_ok(),
                    "{}: {:?}\n{}",
                    page.display(),
                    quoted.args,
                    why.unwrap_err()
                );
            }
            all += 1;
        }
    }
    assert!(all > 50, "{all}");
}

#[test]
fn a_command_that_is_none_would_be_found() {
    let page = "a `offboard list --opne` b\n\n    sudo -u x offboard frobnicate\n\n```\nkubectl -n x exec deploy/offboard-dispatcher -- /usr/local/bin/offboard show\n```\n";
    let found = of_page(page);
    assert_eq!(found.len(), 3, "{found:?}");
    for quoted in found {
        assert!(quoted.is_one().is_err(), "{quoted:?}");
    }
    let spoken = of_page(
        "`offboard cancel CASE --reason \"he stays\"`, and `offboard topology --vhost offboard >\ndefinitions.json`",
    );
    assert_eq!(spoken[0].args, ["cancel", "CASE", "--reason", "he stays"]);
    assert_eq!(spoken[1].args, ["topology", "--vhost", "offboard"]);
    // What asks for help is one, if there is such a command.
    let help = of_page("`offboard --help`, `offboard closer --help`, `offboard close --help`");
    let are: Vec<bool> = help.iter().map(|q| q.is_one().is_ok()).collect();
    assert_eq!(are, [true, true, false]);
    // Those that nothing runs (tests/readme) are found, with an option that has another name, too.
    let processes = of_page("```\noffboard worker --areas identity,mailbox\noffboard worker --area identity\n```\n");
    let are: Vec<bool> = processes.iter().map(|q| q.is_one().is_ok()).collect();
    assert_eq!(are, [true, false]);
    // Named in a sentence, it needs no arguments; in a block it does.
    let named = of_page("`offboard keys copy`\n\n    offboard keys copy\n");
    assert!(named.iter().all(|q| q.is_one().is_ok() == q.spoken), "{named:?}");
}
