//! What describes itself: help, completions, schema, and the generated pages.

use crate::support::Folder;
use std::fs;
use std::path::Path;

#[test]
fn every_command_has_help_with_an_example() {
    let folder = Folder::empty();
    let top = folder.run(&["--help"]).expect(0).out;
    for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "130"] {
        assert!(
            top.contains(&format!("\n  {code}")),
            "exit code {code} is documented:\n{top}"
        );
    }
    let commands = [
        "init",
        "doctor",
        "plan",
        "run",
        "submit",
        "serve",
        "list",
        "clear",
        "show",
        "watch",
        "why",
        "approve",
        "attest",
        "waive",
        "retry",
        "cancel",
        "verify",
        "schema",
        "completions",
        "health",
    ];
    for command in commands {
        assert!(top.contains(&format!("\n  {command} ")), "{command}:\n{top}");
        let help = folder.run(&[command, "--help"]).expect(0).out;
        assert!(
            help.contains(&format!("  offboard {command}")) || help.contains(&format!("offboard {command}")),
            "{help}"
        );
        assert!(
            help.contains("--json") && help.contains("Examples:"),
            "{command}:\n{help}"
        );
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Folder::empty().run(&["completions", shell]).expect(0).out;
        assert!(script.contains("offboard") && script.contains("attest"), "{shell}");
    }
}

#[test]
fn the_schema_is_a_schema() {
    let schema = Folder::empty().run(&["schema"]).expect(0).json();
    assert!(
        schema["$schema"].is_string() && schema["$defs"]["Departure"].is_object(),
        "{schema}"
    );
}

#[test]
fn the_generated_pages_are_what_the_code_says() {
    for (command, page) in [
        ("tasks", "docs/tasks.md"),
        ("states", "docs/states.md"),
        ("metrics", "docs/metrics.md"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let kept = fs::read_to_string(&path).unwrap();
        let now = Folder::empty().run(&[command]).expect(0).out;
        assert!(
            kept == now,
            "{page} is stale; write it anew with: offboard {command} > {page}"
        );
    }
}

#[test]
fn the_generated_tables_are_what_the_code_says() {
    for (table, page) in [
        ("systems", "README.md"),
        ("permissions", "docs/connectors/microsoft-365.md"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let text = fs::read_to_string(&path).unwrap();
        let begin = format!("<!-- {table}:begin (written by: offboard tasks --{table}) -->\n");
        let kept = text
            .split_once(begin.as_str())
            .and_then(|(_, rest)| rest.split_once(format!("<!-- {table}:end -->").as_str()))
            .map(|(table, _)| table);
        let now = Folder::empty().run(&["tasks", &format!("--{table}")]).expect(0).out;
        assert!(
            kept == Some(now.as_str()),
            "the table in {page} is stale; put this between its marks:\n{now}"
        );
    }
}
