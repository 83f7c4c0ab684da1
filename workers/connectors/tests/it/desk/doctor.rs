//! `offboard doctor`: what would fail is said before it does, with what to change.

use crate::desk::stage::{Given, MAKERS, Stage};
use offboard_connectors::{Finding, Severity};
use offboard_sim::face::DeskFace;

fn bad(findings: &[Finding]) -> Vec<String> {
    let bad = findings.iter().filter(|f| f.severity != Severity::Fine);
    bad.map(|f| format!("{}: {}", f.what, f.how_to_mend)).collect()
}

async fn found(s: &Stage, given: &Given) -> Vec<Finding> {
    let findings = given.open(s.maker).check(&mut s.reading()).await;
    let said = format!("{findings:?}");
    assert!(!said.contains("canary") && !said.contains("tok-"), "{said}");
    findings
}

#[tokio::test]
async fn a_desk_that_is_set_up_is_fine() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        let findings = found(&s, &s.given()).await;
        assert_eq!(bad(&findings), [""; 0], "{maker:?}");
        assert!(findings.len() >= 4, "{findings:?}");
        assert_eq!(s.desk().journal(), [""; 0]);
    }
}

#[tokio::test]
async fn each_mistake_is_named_with_its_key() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        let right = s.given();
        let client = match maker {
            DeskFace::Halo => "client_id",
            DeskFace::ConnectWise | DeskFace::Autotask => "company_id",
        };
        let mistakes: &[(Given, &str)] = &[
            (
                Given {
                    secret: "wrong",
                    ..right.clone()
                },
                "",
            ),
            (
                Given {
                    client: 99,
                    ..right.clone()
                },
                client,
            ),
            (
                Given {
                    of_type: 99,
                    ..right.clone()
                },
                "99",
            ),
            (
                Given {
                    closed: 99,
                    ..right.clone()
                },
                "99",
            ),
        ];
        for (given, says) in mistakes {
            let bad = bad(&found(&s, given).await);
            assert_eq!(bad.len(), 1, "{maker:?}: {bad:?}");
            assert!(bad[0].contains(says), "{bad:?}");
        }
    }
}
