//! `offboard doctor`: what would fail is said before it does, with what to change.

use crate::confluence::stage::{Given, Stage};
use offboard_connectors::{Connector, Finding, Severity};

async fn found(s: &Stage, given: &Given) -> Vec<Finding> {
    let findings = given.open().check(&mut s.reading()).await;
    let said = format!("{findings:?}");
    assert!(!said.contains("canary") && !said.contains("caller@"), "{said}");
    findings
}

fn bad(findings: &[Finding]) -> Vec<String> {
    let bad = findings.iter().filter(|f| f.severity != Severity::Fine);
    bad.map(|f| format!("{}: {}", f.what, f.how_to_mend)).collect()
}

#[tokio::test]
async fn a_space_that_is_set_up_is_fine() {
    let s = Stage::kind().await;
    let findings = found(&s, &s.given()).await;
    assert_eq!(bad(&findings), [""; 0]);
    assert!(findings.len() >= 5, "{findings:?}");
    assert_eq!(s.wiki().journal(), [""; 0]);
}

#[tokio::test]
async fn each_mistake_is_named_with_what_to_change() {
    let s = Stage::kind().await;
    let right = s.given();
    let mistakes: &[(Given, &str)] = &[
        (
            Given {
                token: "wrong",
                ..right.clone()
            },
            "API token",
        ),
        (
            Given {
                space: 7,
                ..right.clone()
            },
            "space_id",
        ),
        (
            Given {
                parent: 7,
                ..right.clone()
            },
            "parent_page_id",
        ),
    ];
    for (given, says) in mistakes {
        let bad = bad(&found(&s, given).await);
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert!(bad[0].contains(says), "{bad:?}");
    }
    s.wiki().no_files = true;
    let without_files = bad(&found(&s, &right).await);
    assert_eq!(without_files.len(), 1, "{without_files:?}");
    assert!(without_files[0].contains("may not add files"), "{without_files:?}");
    s.wiki().read_only = true;
    let bad = bad(&found(&s, &right).await);
    assert_eq!(bad.len(), 2, "{bad:?}");
    assert!(
        bad[0].contains("may not add pages") && bad[0].contains("Rights"),
        "{bad:?}"
    );
}
