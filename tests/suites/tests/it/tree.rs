//! What `deny.toml` and `docs/ARCHITECTURE.md` say of what is depended on is so, as cargo
//! itself tells it. `cargo deny check` would look at the same and at advisories, too; it is not
//! everywhere at hand, and a list that nothing looks at grows old.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All that the domain may know beside itself: data, digests, signatures, ciphers.
const PURE: [&str; 7] = [
    "base64",
    "chacha20poly1305",
    "ed25519-dalek",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize().unwrap()
}

/// What cargo says, in the project's folder.
fn cargo(args: &[&str]) -> String {
    let said = Command::new(env!("CARGO"))
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo must run: it built this");
    let why = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success(),
        "cargo {args:?}: {why}\n(`cargo fetch --locked` brings what is missing)"
    );
    String::from_utf8(said.stdout).unwrap()
}

/// The packages that cargo tells of, with these arguments besides.
fn packages(more: &[&str]) -> Vec<Value> {
    let args = ["metadata", "--locked", "--offline", "--format-version", "1"];
    let mut told: Value = serde_json::from_str(&cargo(&[&args[..], more].concat())).unwrap();
    let Value::Array(packages) = told["packages"].take() else {
        panic!("cargo tells of no packages");
    };
    packages
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The texts in a list of a file.
fn texts(list: &toml::Value) -> BTreeSet<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .filter_map(toml::Value::as_str)
        .collect()
}

/// Whether a licence expression (SPDX; a slash is an older "or") can be met with these alone.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any_is_met(&mut rest, allowed);
    assert!(rest.is_empty(), "'{expression}' is no licence expression");
    met
}

fn next<'a>(rest: &mut &[&'a str]) -> &'a str {
    let (&first, more) = rest.split_first().expect("a licence expression does not end here");
    *rest = more;
    first
}

fn any_is_met(rest: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = all_are_met(rest, allowed);
    while rest.first() == Some(&"OR") {
        next(rest);
        met |= all_are_met(rest, allowed);
    }
    met
}

fn all_are_met(rest: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = one_is_met(rest, allowed);
    while rest.first() == Some(&"AND") {
        next(rest);
        met &= one_is_met(rest, allowed);
    }
    met
}

fn one_is_met(rest: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let first = next(rest);
    if first == "(" {
        let met = any_is_met(rest, allowed);
        assert_eq!(next(rest), ")", "a licence expression's bracket is not closed");
        return met;
    }
    if rest.first() == Some(&"WITH") {
        next(rest);
        let exception = next(rest);
        return allowed.contains(format!("{first} WITH {exception}").as_str());
    }
    allowed.contains(first)
}

#[test]
fn a_licence_expression_is_met_by_what_it_offers() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for met in [
        "MIT",
        "Unlicense OR MIT",
        "Unlicense/MIT",
        "MIT AND ISC",
        "(GPL-3.0 OR MIT) AND ISC",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["BSL-1.0", "MIT AND BSL-1.0", "Apache-2.0", "(MIT OR ISC) AND Zlib"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}

/// Of everything that is built here: what other platforms need besides, is not on this disk.
#[test]
fn all_that_is_built_has_a_licence_and_a_source_that_are_allowed() {
    let file: toml::Table = toml::from_str(&fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap();
    let allowed = texts(&file["licenses"]["allow"]);
    let banned = file["bans"]["deny"].as_array().unwrap();
    let banned: BTreeSet<&str> = banned.iter().filter_map(|ban| ban["crate"].as_str()).collect();
    assert!(!banned.is_empty(), "nothing is banned, or under another name");

    let about = cargo(&["-vV"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let packages = packages(&["--filter-platform", host]);
    assert!(packages.len() > 100, "{} packages are not all", packages.len());
    let mut wrong = Vec::new();
    for package in &packages {
        let (name, licence) = (text(&package["name"]), text(&package["license"]));
        if licence.is_empty() || !is_met(licence, &allowed) {
            wrong.push(format!("{name}: deny.toml does not allow its licence '{licence}'"));
        }
        if banned.contains(name) {
            wrong.push(format!("{name}: deny.toml bans it"));
        }
        let source = text(&package["source"]);
        if !source.is_empty() && source != "registry+https://github.com/rust-lang/crates.io-index" {
            wrong.push(format!("{name}: it comes from {source}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each of our crates depends on to be built, by its folder: tests may know anything.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let root = root();
    let of = |package: &Value| {
        let manifest = Path::new(text(&package["manifest_path"]));
        let folder = manifest.parent().unwrap().strip_prefix(&root).unwrap();
        let all = package["dependencies"].as_array().unwrap().iter();
        let needed = all.filter(|d| d["kind"].is_null()).map(|d| text(&d["name"]).to_owned());
        (
            folder.to_str().unwrap().to_owned(),
            needed.collect::<BTreeSet<String>>(),
        )
    };
    packages(&["--no-deps"]).iter().map(of).collect()
}

fn architecture() -> String {
    fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap()
}

/// What stands in back quotes in a text.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of the rows of the table under this head.
fn table<'a>(page: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let (_, rows) = page.split_once(head).expect("the page has this table");
    let rows = rows
        .trim_start()
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// A crate's name without what all have in common, by its folder.
fn short(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

#[test]
fn who_knows_whom_goes_downwards_only() {
    let page = architecture();
    let (_, after) = page.split_once("Who may know whom").unwrap();
    let (paragraph, _) = after.split_once("\n\n").unwrap();
    let mut below: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (who, whom) in quoted(paragraph).into_iter().filter_map(|said| said.split_once(" → ")) {
        below.entry(who).or_default().extend(whom.split(", "));
    }
    assert!(below.len() >= 5, "the page tells of {below:?} alone");
    for (folder, known) in known().iter().filter(|(folder, _)| !folder.starts_with("tests/")) {
        // Whoever may know one may know whom that knows; and what all know.
        let mut may: BTreeSet<&str> = match short(folder) {
            "domain" => BTreeSet::new(),
            "runtime" => BTreeSet::from(["domain"]),
            _ => BTreeSet::from(["domain", "runtime"]),
        };
        let mut through = vec![short(folder)];
        while let Some(who) = through.pop() {
            for &whom in below.get(who).into_iter().flatten() {
                if may.insert(whom) {
                    through.push(whom);
                }
            }
        }
        let knows: BTreeSet<&str> = known.iter().filter_map(|name| name.strip_prefix("offboard-")).collect();
        let above: Vec<&&str> = knows.difference(&may).collect();
        assert!(above.is_empty(), "{folder} knows {above:?}, and may know {may:?}");
    }
}

#[test]
fn the_domain_knows_nothing_that_can_wait_and_workers_no_ledger() {
    let known = known();
    let pure: BTreeSet<String> = PURE.map(str::to_owned).into();
    let more: Vec<&String> = known["shared/domain"].difference(&pure).collect();
    assert!(more.is_empty(), "the domain knows {more:?}");
    assert!(!known["workers"].contains("offboard-ledger"));
    assert!(!known["workers/connectors"].contains("offboard-ledger"));
    // Nor through one of those that they know.
    for below in ["queue", "store", "archive", "runtime"] {
        assert!(
            !known[&format!("shared/{below}")].contains("offboard-ledger"),
            "{below}"
        );
    }
}

#[test]
fn those_who_refuse_every_other_crate_of_ours_know_none() {
    let page = architecture();
    let rows = table(&page, "| folder | what it owns | what it refuses to know |\n");
    let refusing = rows.iter().filter(|cells| cells[2] == "every other crate of ours");
    let folders: Vec<&str> = refusing.flat_map(|cells| quoted(cells[0])).collect();
    assert!(folders.len() >= 2, "the page tells of {folders:?} alone");
    let known = known();
    for folder in folders {
        let ours: Vec<&String> = known[folder]
            .iter()
            .filter(|name| name.starts_with("offboard-"))
            .collect();
        assert!(ours.is_empty(), "{folder} knows {ours:?}");
    }
}

#[test]
fn each_crate_of_others_is_where_its_home_is_said_to_be() {
    let page = architecture();
    let rows = table(&page, "| crate | home |\n");
    assert!(rows.len() >= 5, "the page tells of {rows:?} alone");
    let known = known();
    for cells in &rows {
        let homes: BTreeSet<&str> = quoted(cells[1]).into_iter().collect();
        for name in quoted(cells[0]) {
            // Tests and benches may go to a server past us.
            let users = known.iter().filter(|(folder, known)| {
                known.contains(name) && (!folder.starts_with("tests/") || homes.contains(folder.as_str()))
            });
            let users: BTreeSet<&str> = users.map(|(folder, _)| folder.as_str()).collect();
            assert_eq!(users, homes, "{name}");
        }
    }
}
