//! What a leaver knew: a session before he goes, whose recording somebody names, and a
//! page of notes that tells how everything that was handed over ended.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::catalogue::knowledge::{
    DEVICES, DID, FILES_LINK, KINDS, PAGE, SESSION_ENDING, SESSION_FILES, SESSION_LINK, recording,
};
use offboard_domain::departure::{Departure, Manner};
use offboard_domain::keeping::Retention;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    Capabilities, CaseId, Command, Digest, Event, Outcome, Policy, Refusal, Said, Standing, System, TaskState,
    evidence, follow_up, standing,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const LINK: &str = "https://video.example/4711?t=1";

fn notes() -> System {
    System::new("notes").unwrap()
}

fn with_a_wiki() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    all.0
        .insert(notes(), KINDS.iter().copied().chain([Kind::ObserveKnowledge]).collect());
    all
}

fn opened(manner: Manner, session: bool, capabilities: Capabilities) -> World {
    let mut departure = departure(manner);
    departure.effective_at = T0.plus(HOUR_MS);
    open(departure, session, capabilities)
}

fn open(departure: Departure, session: bool, capabilities: Capabilities) -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure),
        policy: Arc::new(Policy {
            knowledge_session: session,
            ..Policy::default()
        }),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    w.go_on();
    w
}

fn held(w: &World, note: &str, file: Option<Digest>) -> Command {
    Command::Attest {
        task: w.id(Kind::HoldKnowledgeSession),
        by: "lead@acme.example".into(),
        file,
        ending: None,
        note: note.into(),
    }
}

#[test]
fn a_recording_is_at_an_address_that_a_browser_opens() {
    assert_eq!(recording(&format!("two hours, {LINK} in German")), Some(LINK));
    assert_eq!(
        recording("https://video.example:8443/"),
        Some("https://video.example:8443/")
    );
    for none in [
        "",
        "it took place",
        "http://video.example/1",
        "https://",
        "https://video",
        "https://video..example/1",
        "https://u:p@video.example/1",
        "https://video.example:0/1",
        "https://video.example/\"onload",
        "https://video.example/<b>",
        "see:https://video.example/1",
    ] {
        assert_eq!(recording(none), None, "{none}");
    }
    let long = format!("https://video.example/{}", "a".repeat(2_000));
    assert_eq!(recording(&long), None);
}

#[test]
fn it_is_asked_for_where_it_is_wanted_and_somebody_leaves_on_a_day_known_before() {
    for (manner, wanted, is_there) in [
        (Manner::Planned, true, true),
        (Manner::Planned, false, false),
        (Manner::Immediate, true, false),
    ] {
        let w = opened(manner, wanted, with_a_wiki());
        assert_eq!(
            w.case().has(Kind::HoldKnowledgeSession),
            is_there,
            "{manner:?} {wanted}"
        );
        let speaks = w.events.iter().map(|(_, e)| e.vocabulary()).max();
        assert_eq!(speaks, Some(2), "a wiki's kind is one that version 1 did not know");
    }
    // Of what a cloud offers, version 1 did not know one kind.
    let mut known = everything_but_a_wiki();
    known.0.get_mut(&m365()).unwrap().remove(&Kind::DiscoverApps);
    let w = opened(Manner::Planned, true, known.clone());
    assert!(matches!(&w.events[0].1, Event::CaseOpened { .. }));
    assert_eq!(w.events[0].1.vocabulary(), 2);
    let w = opened(Manner::Planned, false, known);
    assert_eq!(w.events[0].1.vocabulary(), 1);
}

#[test]
fn who_has_gone_already_is_asked_nothing_in_what_follows_a_closed_case_either() {
    let mut w = opened(Manner::Planned, true, everything_but_a_wiki());
    w.approve();
    w.order(held(&w, LINK, None)).unwrap();
    w.run_to_sealing();
    let follows = follow_up(w.case(), w.id(Kind::DisableSignIn), w.now).unwrap();
    assert_eq!(follows.manner, Manner::Planned);
    let w = open(follows, true, everything_but_a_wiki());
    assert!(!w.case().has(Kind::HoldKnowledgeSession));
    assert!(w.case().has(Kind::DisableSignIn));
}

/// What somebody went without is not asked of him when he is gone.
#[test]
fn a_session_that_somebody_went_without_is_taken_up_by_no_other_case() {
    let mut w = opened(Manner::Planned, true, everything_but_a_wiki());
    w.approve();
    let session = w.id(Kind::HoldKnowledgeSession);
    w.order(Command::Waive {
        task: session,
        by: "boss@msp.example".into(),
        reason: "he is ill".into(),
        until: w.now.plus(60 * DAY_MS),
    })
    .unwrap();
    w.run_to_sealing();
    let sealed = Command::RecordSealed {
        to: w.case().account_to(),
        evidence: Digest::of(b"evidence"),
        key_id: "key".into(),
    };
    w.order(sealed).unwrap();
    let task = w.task(Kind::HoldKnowledgeSession);
    assert!(task.is_waived() && !w.case().is_to_be_followed_up(task));
}

#[test]
fn who_is_to_go_at_once_after_all_is_asked_for_no_session() {
    for another in [false, true] {
        let mut w = opened(Manner::Planned, true, with_a_wiki());
        w.approve();
        let at_once = Arc::new(departure(Manner::Immediate));
        let wanted = if another {
            Command::Join {
                case: CaseId([7; 10]),
                asked_at: T0,
                departure: at_once,
                amended_by: BTreeSet::new(),
                retention: Retention::default(),
            }
        } else {
            Command::Open {
                departure: at_once,
                policy: Arc::new(Policy::default()),
                capabilities: Arc::new(with_a_wiki()),
                traceparent: None,
            }
        };
        w.order(wanted).unwrap();
        let outcome = w.task(Kind::HoldKnowledgeSession).outcome();
        assert!(
            matches!(outcome, Some(Outcome::NotApplicable { .. })),
            "another: {another}: {outcome:?}"
        );
        w.run_to_sealing();
        evidence::statement(&w.history()).unwrap();
    }
}

fn everything_but_a_wiki() -> Capabilities {
    let mut all = with_a_wiki();
    all.0.remove(&notes());
    all
}

#[test]
fn who_has_no_wiki_misses_none() {
    let w = opened(Manner::Planned, false, everything_but_a_wiki());
    assert!(!w.case().has(Kind::WriteNotes));
    let unserved = w.events.iter().find_map(|(_, e)| match e {
        Event::CasePlanned { unserved, .. } => Some(unserved),
        _ => None,
    });
    assert!(!unserved.unwrap().contains(&Kind::WriteNotes));
}

#[test]
fn how_a_files_name_ends_is_kept_only_if_it_means_nothing_else() {
    for (said, file, kept) in [
        ("mp4", true, Some("mp4")),
        ("mp4", false, None),
        ("", true, None),
        ("MP4", true, None),
        ("p/4", true, None),
        ("a.b", true, None),
        ("anna@northwind", true, None),
        ("longerthanany", true, None),
    ] {
        let mut w = opened(Manner::Planned, true, with_a_wiki());
        w.approve();
        let mut attest = held(&w, LINK, file.then(|| Digest::of(b"file")));
        if let Command::Attest { ending, .. } = &mut attest {
            *ending = Some(said.into());
        }
        w.order(attest).unwrap();
        let Some(Outcome::Attested { ending, .. }) = w.task(Kind::HoldKnowledgeSession).outcome() else {
            panic!("it is attested");
        };
        assert_eq!(ending.as_deref(), kept, "{said}");
    }
}

#[test]
fn it_takes_place_before_he_goes_and_its_recording_is_named() {
    let mut w = opened(Manner::Planned, true, with_a_wiki());
    let early = w.order(held(&w, LINK, None));
    assert!(matches!(early, Err(Refusal::TooEarly { .. })), "{early:?}");
    w.approve();
    for note in ["", "it took place", "http://video.example/1"] {
        let bare = w.order(held(&w, note, None));
        assert!(matches!(bare, Err(Refusal::NeedsLink(_))), "{note}: {bare:?}");
    }
    w.order(held(&w, &format!("two hours: {LINK}"), None)).unwrap();
    let outcome = w.task(Kind::HoldKnowledgeSession).outcome();
    assert!(
        matches!(outcome, Some(Outcome::Attested { note, .. }) if note.contains(LINK)),
        "{outcome:?}"
    );
}

#[test]
fn the_notes_wait_for_what_they_tell_and_the_validation_for_them() {
    let mut w = opened(Manner::Planned, true, with_a_wiki());
    w.approve();
    w.go_on();
    let waits = |w: &World, kind: Kind| standing(w.case(), w.task(kind), w.now, &w.gates);
    let Standing::WaitsFor(missing) = waits(&w, Kind::WriteNotes) else {
        panic!("{:?}", waits(&w, Kind::WriteNotes));
    };
    assert_eq!(missing, [Kind::HoldKnowledgeSession]);
    let file = Digest::of(b"slides");
    let mut said = held(&w, LINK, Some(file));
    if let Command::Attest { ending, .. } = &mut said {
        *ending = Some("pptx".into());
    }
    w.order(said).unwrap();
    let id = w.id(Kind::WriteNotes);
    for kind in [Kind::ConfirmHandover, Kind::Validate] {
        let Standing::WaitsFor(missing) = waits(&w, kind) else {
            panic!("{kind}: {:?}", waits(&w, kind));
        };
        assert!(missing.contains(&Kind::WriteNotes), "{kind}: {missing:?}");
    }
    let told = w.case().assignment(id).unwrap().params;
    assert_eq!(told.text(SESSION_LINK), Some(LINK));
    assert_eq!(told.list(SESSION_FILES), Some(&[file.to_string()][..]));
    assert_eq!(told.text(SESSION_ENDING), Some("pptx"));
    assert_eq!(told.text(FILES_LINK), Some("https://files.example/his"));
    assert_eq!(told.int(&format!("{DEVICES}company")), Some(2));
    let did = |kind: Kind, word: &str| told.int(&format!("{DID}{}/{word}", kind.name()));
    assert_eq!(did(Kind::HandOverOneDrive, "verified"), Some(1));
    assert_eq!(did(Kind::HoldKnowledgeSession, "attested"), Some(1));
    // Nothing of it is kept in the case.
    assert!(w.task(Kind::WriteNotes).planned.params.0.is_empty());
    let all = format!("{told:?}");
    assert!(!all.contains("leaver@") && !all.contains("HR-1"), "{all}");
    // Whoever looks again is told the same, and which page it was.
    let mut report = w.truthful(id);
    let Said::Satisfied { after, .. } = &mut report.said else {
        panic!("{report:?}");
    };
    after.facts.set(PAGE, "7");
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(w.task(Kind::WriteNotes).state, TaskState::Settled { .. }));
    let again = w.case().told(w.task(Kind::WriteNotes));
    assert_eq!(again.text(PAGE), Some("7"));
    assert_eq!(told.with(PAGE, "7"), again);
    w.run_to_sealing();
}

impl World {
    /// Everything that machines do is done, and some hours pass. The files' address and
    /// the devices are read.
    fn go_on(&mut self) {
        for _ in 0..30 {
            while let Some(id) = self.in_flight().first().copied() {
                let mut report = self.truthful(id);
                let kind = self.case().tasks[&id].kind();
                match &mut report.said {
                    Said::Satisfied { after, .. } if kind == Kind::HandOverOneDrive => {
                        after.facts.set("link", "https://files.example/his");
                    }
                    Said::Found { observation, .. } if kind == Kind::DiscoverDevices => {
                        observation.facts.set("company_count", 2_i64);
                    }
                    _ => {}
                }
                self.order(Command::RecordReport(Box::new(report))).unwrap();
            }
            self.pass(10 * 60_000);
        }
    }
}
