//! Where things are, and that every one of them parses.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(crate) fn deploy() -> PathBuf {
    root().join("deploy")
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every document of a YAML file; a key that stands twice is an error.
#[track_caller]
pub(crate) fn yaml(path: impl AsRef<Path>) -> Vec<Value> {
    let text = read(path.as_ref());
    serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// Every file under a folder, as its path from the tree's root.
pub(crate) fn under(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // An operator's own, in no commit.
            if path != deploy().join("secrets") {
                found.extend(under(&path));
            }
        } else {
            found.insert(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    found
}

/// The texts of a list.
#[track_caller]
pub(crate) fn texts(list: &Value) -> Vec<String> {
    let text = |v: &Value| {
        v.as_str()
            .unwrap_or_else(|| panic!("{v} is no text in {list}"))
            .to_owned()
    };
    list.as_array()
        .unwrap_or_else(|| panic!("{list} is no list"))
        .iter()
        .map(text)
        .collect()
}

#[test]
fn every_file_parses() {
    let mut kinds = BTreeSet::new();
    for path in under(&deploy()) {
        let kind = path.extension().and_then(|x| x.to_str()).unwrap_or_default().to_owned();
        match &kind[..] {
            "yaml" | "yml" => assert!(!yaml(&path).is_empty(), "{}", path.display()),
            "json" => drop(serde_json::from_str::<Value>(&read(&path)).unwrap_or_else(|e| panic!("{path:?}: {e}"))),
            "toml" => drop(
                read(&path)
                    .parse::<toml::Table>()
                    .unwrap_or_else(|e| panic!("{path:?}: {e}")),
            ),
            // Looked at in their own tests; the rest is prose or another program's.
            "service" | "conf" | "acl" | "md" | "sh" | "" => {}
            other => panic!("nothing here looks at {} (.{other})", path.display()),
        }
        kinds.insert(kind);
    }
    assert!(kinds.len() > 7, "{kinds:?}");
}

#[test]
fn every_link_in_the_pages_leads_somewhere() {
    let pages = [
        "deploy/README.md",
        "deploy/k8s/README.md",
        "deploy/systemd/README.md",
        "docs/operations.md",
    ];
    let mut links = 0;
    for page in pages {
        let folder = root().join(page).parent().unwrap().to_owned();
        for part in read(page).split("](").skip(1) {
            let link = part.split([')', '#']).next().unwrap();
            if !link.is_empty() && !link.contains("://") {
                assert!(folder.join(link).exists(), "{page}: {link}");
                links += 1;
            }
        }
    }
    assert!(links > 2);
}

#[test]
fn nothing_here_holds_a_secret() {
    for path in under(&deploy()) {
        let text = read(&path);
        assert!(!text.contains("PRIVATE KEY"), "{}", path.display());
    }
    let definitions: Value = serde_json::from_str(&read("deploy/rabbitmq/definitions.json")).unwrap();
    for user in definitions["users"].as_array().unwrap() {
        assert_eq!(user["password_hash"], "", "{user}");
    }
    for document in yaml("deploy/k8s/secrets.example.yaml") {
        for value in document["stringData"].as_object().unwrap().values() {
            assert_eq!(value, "replace", "{document}");
        }
    }
}
