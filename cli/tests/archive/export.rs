//! `offboard archive export`, against what Python alone makes of the archive.

use crate::stage::Stage;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every file of the Maildirs below a folder, by its place in it.
fn mail(root: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![root.join("mail")]);
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => todo.push(path),
                false => {
                    found.insert(path.strip_prefix(root).unwrap().to_owned(), path);
                }
            }
        }
    }
    found
}

fn index(root: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(root.join("messages.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

pub(crate) fn writes_what_python_unpacks(stage: &Stage, manifest: &str, unpacked: &Path) {
    let out = stage.path("exported");
    let export = |more: &[&str]| -> Value {
        let args = [
            &["archive", "export", manifest, out.to_str().unwrap(), "--json"][..],
            more,
        ]
        .concat();
        serde_json::from_slice(&stage.offboard(&args)).unwrap()
    };
    let some = export(&["--folder", "large"]);
    let large = some["written"].as_u64().unwrap();
    assert!(large > 0 && some["there_already"] == 0, "{some}");
    let wanted = mail(unpacked);
    let all = export(&[]);
    assert_eq!(all["there_already"], large);
    assert_eq!(all["written"].as_u64().unwrap() + large, wanted.len() as u64);
    let written = mail(&out);
    assert!(written.keys().eq(wanted.keys()), "the same names");
    for (name, path) in &written {
        assert!(
            std::fs::read(path).unwrap() == std::fs::read(&wanted[name]).unwrap(),
            "{}",
            name.display()
        );
    }
    assert_eq!(index(&out), index(unpacked));
    // What is there is left alone; what is another's is not written over.
    let (name, path) = written.iter().next().unwrap();
    std::fs::write(path, "changed by hand").unwrap();
    let args = ["archive", "export", manifest, out.to_str().unwrap()];
    let ran = stage.ran(&args);
    assert_eq!(ran.status.code(), Some(1));
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(
        said.contains(&name.display().to_string()) && said.contains("move it away"),
        "{said}"
    );
    std::fs::remove_file(path).unwrap();
    assert_eq!(export(&[])["written"], 1);
    for wrong in [
        ["archive", "export", manifest, stage.root().to_str().unwrap(), "--json"],
        ["archive", "export", manifest, out.to_str().unwrap(), "--message=999999"],
    ] {
        assert_eq!(stage.fails(&wrong), 1, "{wrong:?}");
    }
}
