use super::*;
use offboard_domain::evidence::{Begun, Cancellation, InFlight, Named, OutcomeAccount, RefusalAccount};

/// The account that the domain's own tests keep: much goes wrong in it.
const RICH: &str = include_str!("../../../shared/domain/src/evidence/testdata/rich.json");
const SMALL: &str = include_str!("../../../shared/domain/src/evidence/testdata/small.json");
const FILE: &str = "musterwerk/c-1/evidence-130.dsse.json";

fn statement(json: &str) -> Statement {
    serde_json::from_str(json).unwrap()
}

/// The texts between the tags of a name, without tags inside them.
fn texts(page: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    page.split(&open)
        .skip(1)
        .filter(|rest| rest.starts_with(['>', ' ']))
        .filter_map(|rest| rest.split_once('>'))
        .filter_map(|(_, rest)| rest.split_once(&close))
        .map(|(inside, _)| {
            inside
                .split('<')
                .enumerate()
                .map(|(i, p)| {
                    if i == 0 {
                        p
                    } else {
                        p.split_once('>').map_or("", |x| x.1)
                    }
                })
                .collect()
        })
        .collect()
}

#[test]
fn the_page_has_its_parts_in_order() {
    let page = render(&statement(RICH), FILE);
    assert_eq!(texts(&page, "h1"), ["Jürgen Groß"]);
    assert_eq!(
        texts(&page, "h2"),
        [
            "Exceptions",
            "Course",
            "Tasks",
            "Devices",
            "Licences freed",
            "Closing rounds",
            "Approvals",
            "Controls that this supports",
            "How to verify this"
        ]
    );
    assert_eq!(
        texts(&page, "h3"),
        [
            "Initiation",
            "Access revocation",
            "Device recovery",
            "Mail and files",
            "Licences",
            "Closure"
        ]
    );
    assert_eq!(
        texts(&page, "dt")[..5],
        [
            "Sign-in and sessions cut",
            "Last access cut",
            "Licences freed",
            "Exceptions",
            "Closed"
        ]
    );
    let exceptions = &page[page.find("id=\"exceptions\"").unwrap()..page.find("id=\"course\"").unwrap()];
    let sorts: Vec<String> = texts(exceptions, "td").into_iter().step_by(3).collect();
    assert_eq!(
        sorts,
        [
            "waived",
            "attested without file",
            "attested without file",
            "was undone",
            "needed a person",
            "needed a person",
            "late report",
            "overdue",
            "not applicable"
        ]
    );
    assert_eq!(texts(&page, "pre"), ["offboard verify evidence-130.dsse.json"]);
}

/// One row for each task, each with a bar and a cell for each column.
#[test]
fn every_task_is_in_its_table_and_in_the_picture() {
    let said = statement(RICH);
    let page = render(&said, FILE);
    let tables = &page[page.find("id=\"tasks\"").unwrap()..page.find("id=\"devices\"").unwrap()];
    assert_eq!(tables.matches("<th scope=\"row\"").count(), said.predicate.tasks.len());
    assert_eq!(tables.matches("<td").count(), 5 * said.predicate.tasks.len());
    let plotted = said.predicate.tasks.iter().filter(|t| !t.nature.closing_round).count();
    assert_eq!(page.matches("<g><title>").count(), plotted);
    assert!(page.contains("roles: 2 → none") && page.contains("enabled: yes → no"));
    assert!(page.contains("Read again in round 2"));
    assert!(page.contains("49.60 EUR"));
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let page = render(&statement(RICH), FILE);
    for forbidden in [
        "<script", "<img", "<link", "<iframe", "<object", "http://", "https://", "@import", "url(",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let body = &page[page.find("</style>").unwrap()..];
    for tag in body
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(tag, _)| tag)
    {
        assert!(
            !tag.contains(" on") && !tag.contains(" style=") && !tag.contains(" src="),
            "<{tag}>"
        );
    }
    let style = &page[page.find("<style>").unwrap() + 7..page.find("</style>").unwrap()];
    let digest = B64.encode(Sha256::digest(style.as_bytes()));
    assert!(
        page.contains(&format!("style-src 'sha256-{digest}'")),
        "the policy names the style sheet that there is"
    );
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn hostile_names_are_only_text() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&</title><script>x()</script>";
    let mut said = statement(RICH);
    let p = &mut said.predicate;
    p.request.named = Named {
        display_name: Some(HOSTILE.into()),
        user_principal_name: Some(HOSTILE.into()),
        ..Named::default()
    };
    p.request.successor = Some(p.request.named.clone());
    p.request.reference = Some(HOSTILE.into());
    p.request.requested_by = HOSTILE.into();
    p.request.choices.set(HOSTILE, HOSTILE);
    p.cancellation = Some(Cancellation {
        version: 1,
        at: p.times.ended_at,
        by: HOSTILE.into(),
        reason: HOSTILE.into(),
        in_flight: vec![InFlight {
            task: p.tasks[0].id,
            attempt: 1,
            ended_version: None,
            ended_at: None,
            became: HOSTILE.into(),
        }],
        begun: vec![Begun {
            task: p.tasks[0].id,
            attempts: 1,
            last: HOSTILE.into(),
        }],
    });
    p.refusal = Some(RefusalAccount {
        version: 1,
        at: p.times.ended_at,
        reason: HOSTILE.into(),
        nothing_written: true,
    });
    p.plan.unserved = vec![HOSTILE.into()];
    for a in &mut p.approvals {
        a.by = HOSTILE.into();
    }
    for t in &mut p.tasks {
        t.kind.push_str(HOSTILE);
        t.title = HOSTILE.into();
        t.object = Some(HOSTILE.into());
        t.outcome = Some(OutcomeAccount::Attested {
            by: HOSTILE.into(),
            file: None,
            note: HOSTILE.into(),
        });
        t.params.set(HOSTILE, HOSTILE);
        t.controls.soc2 = vec![HOSTILE.into()];
        for s in &mut t.steps {
            s.text = HOSTILE.into();
            s.rule = Some(HOSTILE.into());
        }
    }
    for d in p.rounds.iter_mut().flat_map(|r| &mut r.differences) {
        d.differs = HOSTILE.into();
    }
    for ending in [Ending::Completed, Ending::Cancelled, Ending::Refused] {
        said.predicate.ending = ending;
        let page = render(&said, HOSTILE);
        assert!(!page.contains("<img") && !page.contains("<script") && !page.contains("onerror=alert(1)>\""));
        assert_eq!(page.matches("</title>").count(), page.matches("<title").count());
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    }
}

#[test]
fn what_a_reader_cannot_see_is_shown() {
    let mut said = statement(SMALL);
    said.predicate.request.named.display_name = Some("Anna\u{202e}gpj.exe\u{200b}\u{7}\u{2066}".into());
    let page = render(&said, FILE);
    assert!(page.contains("Anna⟦U+202E⟧gpj.exe⟦U+200B⟧⟦U+0007⟧⟦U+2066⟧"));
    assert!(!page.chars().any(is_invisible));
    // Joiners belong to names of some scripts, and umlauts are letters.
    said.predicate.request.named.display_name = Some("نیم\u{200c}فاصله Ößler".into());
    assert!(render(&said, FILE).contains("نیم\u{200c}فاصله Ößler"));
}

#[test]
fn a_departure_that_was_called_off_says_so() {
    let mut said = statement(SMALL);
    let p = &mut said.predicate;
    p.ending = Ending::Cancelled;
    p.cancellation = Some(Cancellation {
        version: 1,
        at: p.times.ended_at,
        by: "boss".into(),
        reason: "he stays".into(),
        in_flight: vec![InFlight {
            task: p.tasks[1].id,
            attempt: 1,
            ended_version: Some(9),
            ended_at: Some(p.times.ended_at),
            became: "verified".into(),
        }],
        begun: vec![Begun {
            task: p.tasks[3].id,
            attempts: 108,
            last: "the device has not checked in since the wipe was ordered".into(),
        }],
    });
    p.tasks[2].outcome = None;
    p.tasks[3].outcome = None;
    p.summary.outcomes = [("verified".to_owned(), 2), ("not_done".to_owned(), 2)].into();
    let page = render(&said, FILE);
    assert!(page.contains("Called off.") && page.contains("2 tasks were settled until then and 1 was not done"));
    assert!(page.contains("1 more was begun and not proven: what was sent may still take effect."));
    assert!(page.contains("has not checked in since the wipe was ordered."));
    assert!(page.contains("not done"));
    assert!(page.contains("1 was with a worker at that moment"));
    assert!(page.contains("A worker held it when the case was called off: verified."));
    assert!(texts(&page, "dt").contains(&"Called off".to_owned()));
}

#[test]
fn a_licence_that_stays_is_an_exception() {
    let mut said = statement(SMALL);
    let task = &mut said.predicate.tasks[1];
    let mut seen = task.after.clone().or_else(|| task.before.clone()).unwrap();
    seen.facts.set("kept_sku_ids", vec!["sku-1".to_owned()]);
    seen.facts.set("kept_because", "the mailbox is not a shared one");
    task.after = Some(seen);
    let page = render(&said, FILE);
    assert!(
        page.contains("Kept, and still paid for, because the mailbox is not a shared one: sku-1."),
        "{page}"
    );
}

#[test]
fn a_refused_departure_says_that_nothing_was_written() {
    let mut said = statement(SMALL);
    let p = &mut said.predicate;
    p.ending = Ending::Refused;
    p.tasks.truncate(1);
    p.rounds.clear();
    p.refusal = Some(RefusalAccount {
        version: 4,
        at: p.times.ended_at,
        reason: "the account is protected".into(),
        nothing_written: true,
    });
    let page = render(&said, FILE);
    assert!(page.contains("Refused.") && page.contains("the account is protected"));
    assert!(page.contains("No task that writes was ever given to a worker."));
    assert!(!page.contains("Completed."));
}

#[test]
fn lengths_and_words_read_well() {
    assert_eq!(
        [0, 36, 60, 3_661, 86_400, 100_000, -90].map(duration),
        ["0 s", "36 s", "1 min", "1 h 1 min", "1 d", "1 d 3 h", "1 min 30 s"]
    );
    assert_eq!(words::money(4_960, "EUR"), "49.60 EUR");
    assert_eq!(words::money(-5, "CHF"), "−0.05 CHF");
    assert_eq!(words::quoted("a b'c"), "'a b'\\''c'");
}
