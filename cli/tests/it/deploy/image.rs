//! The Dockerfile, read line by line: what is in the image, as whom it runs, and
//! that nothing can get in which should not.

use crate::deploy::commands::accepted;
use crate::deploy::files::{read, root};

/// An instruction and what it is told.
struct Instruction {
    word: String,
    rest: String,
}

fn instructions() -> Vec<Instruction> {
    read("deploy/Dockerfile")
        .replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            Instruction {
                word: word.to_owned(),
                rest: rest.trim().to_owned(),
            }
        })
        .collect()
}

/// The stages: each from its FROM on.
fn stages() -> Vec<Vec<Instruction>> {
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for instruction in instructions() {
        if instruction.word == "FROM" {
            stages.push(Vec::new());
        }
        if let Some(stage) = stages.last_mut() {
            stage.push(instruction);
        }
    }
    stages
}

fn told<'a>(stage: &'a [Instruction], word: &str) -> Vec<&'a str> {
    let of = stage.iter().filter(|i| i.word == word);
    of.map(|i| i.rest.as_str()).collect()
}

/// An instruction in the form that needs no shell.
#[track_caller]
fn exec(rest: &str) -> Vec<String> {
    serde_json::from_str(rest).unwrap_or_else(|e| panic!("needs a shell: {rest} ({e})"))
}

#[test]
fn the_image_runs_as_nobody_in_particular_without_a_shell() {
    let stages = stages();
    assert_eq!(stages.len(), 2);
    let last = stages.last().unwrap();
    let user = told(last, "USER");
    let [user] = user[..] else { panic!("{user:?}") };
    let (user, group) = user.split_once(':').unwrap();
    for number in [user, group] {
        assert_ne!(number.parse::<u32>().unwrap(), 0);
    }
    assert_eq!(told(last, "STOPSIGNAL"), ["SIGTERM"]);
    assert_eq!(exec(told(last, "ENTRYPOINT")[0]), ["/usr/local/bin/offboard"]);
    // Help is what the parser answers by itself.
    assert_eq!(exec(told(last, "CMD")[0]), ["--help"]);
    assert!(told(last, "RUN").is_empty() && told(last, "ADD").is_empty() && told(last, "SHELL").is_empty());
    assert!(told(last, "HEALTHCHECK").is_empty());
    accepted(&["health".to_owned()], "what Compose asks in its place");
    for run in stages.iter().flat_map(|s| told(s, "RUN")) {
        exec(run);
    }
    // The folder that is the working folder of every role.
    assert_eq!(told(last, "ENV"), ["OFFBOARD_DIR=/etc/offboard"]);
}

#[test]
fn the_program_is_built_once_from_the_lock_file() {
    let stages = stages();
    let builds: Vec<Vec<String>> = told(&stages[0], "RUN").into_iter().map(exec).collect();
    let cargo: Vec<_> = builds.iter().filter(|b| b[0] == "cargo").collect();
    let [cargo] = cargo[..] else { panic!("{cargo:?}") };
    for word in ["build", "--release", "--locked", "offboard-cli", "offboard"] {
        assert!(cargo.iter().any(|w| w == word), "{word}");
    }
    // Both bases have the same C library.
    let bases: Vec<String> = instructions()
        .iter()
        .filter(|i| i.word == "ARG")
        .map(|i| i.rest.clone())
        .collect();
    assert!(
        bases.iter().any(|b| b.starts_with("BUILD=") && b.contains("bookworm")),
        "{bases:?}"
    );
    assert!(
        bases
            .iter()
            .any(|b| b.starts_with("RUNTIME=") && b.contains("debian12")),
        "{bases:?}"
    );
    // And the compiler is not older than the tree needs.
    let needs = read("Cargo.toml");
    let needs = needs
        .lines()
        .find_map(|l| l.strip_prefix("rust-version = "))
        .unwrap()
        .trim_matches('"')
        .to_owned();
    let minor = |v: &str| v.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    let has = bases
        .iter()
        .find_map(|b| b.strip_prefix("BUILD=docker.io/library/rust:"))
        .unwrap();
    assert!(minor(has.split('-').next().unwrap()) >= minor(&needs), "{has} {needs}");
}

#[test]
fn what_is_copied_is_there() {
    let stages = stages();
    let made = told(&stages[0], "RUN").join(" ");
    for (at, stage) in stages.iter().enumerate() {
        for copy in told(stage, "COPY") {
            let words: Vec<&str> = copy.split_whitespace().filter(|w| !w.starts_with("--")).collect();
            let (sources, _) = words.split_at(words.len() - 1);
            for source in sources {
                if copy.contains("--from=build") {
                    assert_eq!(at, 1);
                    let known = *source == "/src/target/release/offboard" || made.contains(source);
                    assert!(known, "{source} is made by no stage");
                } else {
                    assert!(root().join(source).exists(), "{source}");
                }
            }
        }
    }
}

/// Lines of `.dockerignore`, and what they let in again.
fn ignored() -> (Vec<String>, Vec<String>) {
    let text = read(".dockerignore");
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let (again, never): (Vec<&str>, Vec<&str>) = lines.partition(|l| l.starts_with('!'));
    let owned = |l: Vec<&str>| l.into_iter().map(|l| l.trim_start_matches('!').to_owned()).collect();
    (owned(never), owned(again))
}

#[test]
fn the_build_sees_the_sources_and_no_secret() {
    let (never, again) = ignored();
    assert_eq!(never[0], "*", "everything is left out but what is named");
    for private in ["**/*.pem", "**/*.key", "**/*.password", "**/target"] {
        assert!(never.iter().any(|l| l == private), "{private}");
    }
    for name in &again {
        assert!(root().join(name).exists(), "{name}");
    }
    // Every member of the workspace, or the build does not begin.
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        let seen = again
            .iter()
            .any(|a| member == a || member.starts_with(&format!("{a}/")));
        assert!(seen, "{member}");
    }
    // What sources outside of them include.
    for file in ["deploy/example/offboard.toml", "Cargo.lock"] {
        assert!(
            again.iter().any(|a| file == a || file.starts_with(&format!("{a}/"))),
            "{file}"
        );
    }
    assert!(!again.iter().any(|a| a.contains("secrets") || a == "deploy"));
    assert!(read(".gitignore").lines().any(|l| l == "/deploy/secrets"));
}
