//! A departure's ticket, attempt by attempt as a dispatcher has it, through the
//! real connector against a simulated desk: opened or taken, told, given the sealed
//! account, closed; and nothing twice, whatever is lost on the way.

mod endings;

use crate::stage::{One, Told};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::halo::{HaloConnector, HaloSettings};
use offboard_domain::catalogue::desk::{ENDED, EVIDENCE, REFERENCE, TICKET, marker};
use offboard_domain::{
    Assignment, CaseId, Digest, Facts, FaultClass, Kind, Lane, Mode, ObjectId, Said, Subject, System, Target, TaskId,
    TenantId, Verdict, judge,
};
use offboard_runtime::Clock;
use offboard_sim::face::{DeskFace, DeskSimulator};
use offboard_sim::world::desk::{Desk, DeskFault, DeskHabits, NEW, Ticket};
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const T0: i64 = 1_780_000_000_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// When an order's validity is over, with its margin.
const OVER_MS: i64 = 450_000;
/// Ours.
const OURS: u64 = 12;

fn psa() -> System {
    System::new("psa").unwrap()
}

fn case() -> CaseId {
    CaseId::derive(&TenantId::new("acme").unwrap(), "HR-1")
}

/// A desk, and a worker that serves one client's part of it.
struct Stage {
    desk: Arc<Mutex<Desk>>,
    clock: Arc<Told>,
    context: Context,
    _simulator: DeskSimulator,
}

/// A task, as the dispatcher keeps it.
struct Task {
    kind: Kind,
    object: Option<ObjectId>,
    params: Facts,
    attempt: u32,
    mode: Mode,
    checkpoint: Option<Facts>,
}

/// What became of a task.
#[derive(Debug)]
enum Ended {
    Settled(Facts),
    NotApplicable,
    Person(String),
}

impl Task {
    fn of(kind: Kind, params: Facts) -> Self {
        Self {
            kind,
            object: None,
            params,
            attempt: 0,
            mode: Mode::Full,
            checkpoint: None,
        }
    }
}

impl Stage {
    async fn with(habits: DeskHabits) -> Self {
        let clock = Told::at(T0);
        let desk = Arc::new(Mutex::new(Desk::new(habits, [OURS, 13])));
        let tell = Arc::clone(&clock);
        let simulator = DeskSimulator::start(Arc::clone(&desk), DeskFace::Halo, Arc::new(move || tell.now().0)).await;
        let simulator = simulator.unwrap();
        let settings = HaloSettings {
            system: psa(),
            url: simulator.url().to_owned(),
            auth_url: None,
            tenant: Some("msp".to_owned()),
            application_id: "caller".to_owned(),
            secret: "s3cret-canary".into(),
            scope: "all".to_owned(),
            client_id: OURS,
            site_id: None,
            ticket_type_id: 21,
            priority_id: None,
            urgent_priority_id: None,
            note_outcome_id: 7,
            closed_status_id: 9,
            adopt_prefix: Some("T-".to_owned()),
        };
        let halo = HaloConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
        let context = Context {
            store: Store::memory(),
            connectors: Arc::new(One(Arc::new(halo))),
            escrow: None,
            clock: clock.clone(),
        };
        Self {
            desk,
            clock,
            context,
            _simulator: simulator,
        }
    }

    async fn kind() -> Self {
        Self::with(DeskHabits::default()).await
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, ms: i64) {
        self.clock.pass(ms);
    }

    async fn attempt(&self, task: &mut Task, redelivered: bool) -> Said {
        task.attempt += 1;
        let assignment = Assignment {
            tenant: TenantId::new("acme").unwrap(),
            case: case(),
            task: TaskId::derive(case(), task.kind.name(), &psa(), task.object.as_ref()),
            attempt: task.attempt,
            kind: task.kind,
            target: Target {
                system: psa(),
                object: task.object.clone(),
            },
            subject: Subject::default(),
            params: task.params.clone(),
            mode: task.mode,
            checkpoint: task.checkpoint.clone(),
            checks: Vec::new(),
            start_by: self.clock.now().plus(300_000),
            run_for_ms: task.kind.spec().run_for_ms,
            version: 3,
            head: Digest::ZERO,
            traceparent: None,
        };
        let report = attempt(&assignment, Lane::Normal, redelivered, &self.context).await;
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains("canary") && !text.contains("tok-"), "{text}");
        if report.remembered.is_some() {
            task.checkpoint.clone_from(&report.remembered);
        }
        report.said
    }

    /// As a dispatcher goes on with a *once* task: after silence it is only read,
    /// when the order can be with nobody any more; and ordered again when reading
    /// has proven that it did not happen.
    async fn drive(&self, task: &mut Task) -> Ended {
        for _ in 0..40 {
            let said = self.attempt(task, false).await;
            let once = !task.kind.spec().convergent;
            match said {
                Said::Satisfied { after, .. } => {
                    return match judge(task.kind, &task.params, &after.facts, None) {
                        Verdict::Satisfied => Ended::Settled(after.facts),
                        Verdict::NotApplicable(_) => Ended::NotApplicable,
                        other => panic!("{other:?}"),
                    };
                }
                Said::Observed { observation } => match judge(task.kind, &task.params, &observation.facts, None) {
                    Verdict::Satisfied => return Ended::Settled(observation.facts),
                    Verdict::NotApplicable(_) => return Ended::NotApplicable,
                    Verdict::Unsatisfied(_) if observation.facts.bool("conclusive") == Some(true) => {
                        task.mode = Mode::Full;
                    }
                    other => return Ended::Person(format!("{other:?}")),
                },
                Said::Wait { until, checkpoint, .. } => {
                    task.checkpoint = checkpoint;
                    if once {
                        task.mode = Mode::ObserveOnly;
                    }
                    self.clock.sleep_until(until).await;
                }
                Said::Fault { fault } => match fault.class {
                    FaultClass::Unknown if once => {
                        task.mode = Mode::ObserveOnly;
                        self.pass(OVER_MS);
                    }
                    FaultClass::Transient | FaultClass::Throttled { .. } | FaultClass::Unknown => self.pass(MINUTE_MS),
                    _ => return Ended::Person(fault.to_string()),
                },
                other => panic!("{other:?}"),
            }
        }
        panic!("{} does not come to an end", task.kind);
    }

    async fn settle(&self, kind: Kind, params: Facts) -> Facts {
        match self.drive(&mut Task::of(kind, params)).await {
            Ended::Settled(facts) => facts,
            other => panic!("{kind}: {other:?}"),
        }
    }

    async fn opened(&self) -> Facts {
        let facts = self
            .settle(Kind::OpenTicket, Facts::new().with(REFERENCE, "HR-1"))
            .await;
        Facts::new().with(TICKET, facts.text(TICKET).unwrap())
    }
}

fn counts(ticket: &Facts) -> Facts {
    let counted = ticket.clone().with(&format!("{ENDED}verified"), 5_i64);
    counted.with(&format!("{ENDED}not_applicable"), 1_i64)
}

#[tokio::test]
async fn a_ticket_is_opened_told_given_the_account_and_closed() {
    for lag_ms in [0, 10 * MINUTE_MS] {
        let s = Stage::with(DeskHabits {
            lag_ms,
            ..DeskHabits::default()
        })
        .await;
        let ticket = s.opened().await;
        for kind in [Kind::NoteAccess, Kind::NoteDevices] {
            s.settle(kind, counts(&ticket)).await;
        }
        let nothing = s.drive(&mut Task::of(Kind::NoteLicences, ticket.clone())).await;
        assert!(matches!(nothing, Ended::NotApplicable), "{nothing:?}");
        let account = br#"{"payloadType": "application/vnd.in-toto+json"}"#.to_vec();
        let digest = s.context.store.put(account.clone()).await.unwrap();
        let evidence = ticket.clone().with(EVIDENCE, digest.to_string());
        s.settle(Kind::AttachEvidence, evidence.clone()).await;
        s.settle(Kind::CloseTicket, ticket.clone()).await;
        // Each is found done by whoever looks again, once the lists have caught up.
        s.pass(lag_ms);
        s.opened().await;
        s.settle(Kind::NoteAccess, counts(&ticket)).await;
        s.settle(Kind::AttachEvidence, evidence).await;
        s.settle(Kind::CloseTicket, ticket).await;

        let desk = s.desk();
        assert_eq!(
            desk.journal(),
            ["open 1001", "note 1001", "note 1001", "attach 1001", "status 1001"]
        );
        let read = &desk.tickets()[&1001];
        assert_eq!(read.title, format!("Departure {}", marker(case())));
        let note = &read.notes[0].1;
        assert!(
            note.contains("Access revocation is settled: 1 not applicable, 5 verified."),
            "{note}"
        );
        assert_eq!(read.files[0].1.bytes, account);
        assert!(read.files[0].1.name.contains(&digest.to_string()));
        let all = format!("{read:?}");
        assert!(!all.contains("HR-1") && !all.contains("acme"), "{all}");
    }
}

#[tokio::test]
async fn an_order_that_was_not_answered_is_looked_for_and_never_sent_twice() {
    let faults = [
        (DeskFault::Cut(true), true),
        (DeskFault::Cut(false), false),
        (DeskFault::Status(500, None, true), true),
        (DeskFault::Status(502, None, false), false),
    ];
    for (fault, happened) in faults {
        for lag_ms in [0, 20 * MINUTE_MS] {
            let s = Stage::with(DeskHabits {
                lag_ms,
                ..DeskHabits::default()
            })
            .await;
            s.desk().write_faults = vec![fault];
            let ticket = s.opened().await;
            assert_eq!(s.desk().tickets().len(), 1, "{fault:?} {lag_ms}");
            // What had not happened was ordered again only after a long look.
            let waited = s.clock.now().0 - T0;
            assert_eq!(
                waited >= 30 * MINUTE_MS,
                !happened || lag_ms >= 30 * MINUTE_MS,
                "{fault:?} {waited}"
            );
            s.desk().write_faults = vec![fault];
            s.settle(Kind::NoteAccess, counts(&ticket)).await;
            let digest = s.context.store.put(b"{}".to_vec()).await.unwrap();
            s.desk().write_faults = vec![fault];
            let evidence = ticket.with(EVIDENCE, digest.to_string());
            s.settle(Kind::AttachEvidence, evidence).await;
            s.pass(lag_ms);
            let desk = s.desk();
            let read = &desk.tickets()[&1001];
            assert_eq!((read.notes.len(), read.files.len()), (1, 1), "{fault:?} {lag_ms}");
        }
    }
}

#[tokio::test]
async fn a_later_silence_is_looked_for_as_long_as_the_first() {
    let s = Stage::with(DeskHabits {
        lag_ms: 20 * MINUTE_MS,
        ..DeskHabits::default()
    })
    .await;
    // The first did not happen; the second did, and is not listed for a while.
    s.desk().write_faults = vec![DeskFault::Cut(true), DeskFault::Cut(false)];
    s.opened().await;
    assert_eq!(s.desk().tickets().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_comes_again_is_not_begun_again() {
    let s = Stage::kind().await;
    let mut task = Task::of(Kind::OpenTicket, Facts::new());
    let said = s.attempt(&mut task, true).await;
    assert!(
        matches!(&said, Said::Fault { fault } if fault.class == FaultClass::Unknown),
        "{said:?}"
    );
    assert_eq!(s.desk().tickets().len(), 0);
}

#[tokio::test]
async fn a_desk_that_does_not_say_which_ticket_it_opened_is_asked() {
    let s = Stage::with(DeskHabits {
        says_no_id: true,
        lag_ms: 5 * MINUTE_MS,
        ..DeskHabits::default()
    })
    .await;
    let ticket = s.opened().await;
    assert_eq!(ticket.text(TICKET), Some("1001"));
    assert_eq!(s.desk().tickets().len(), 1);
}

fn theirs(client: u64, status: u64) -> Ticket {
    Ticket {
        client,
        title: "Anna leaves, canary".to_owned(),
        text: String::new(),
        status,
        priority: None,
        opened_ms: 0,
        notes: Vec::new(),
        files: Vec::new(),
    }
}

#[tokio::test]
async fn the_ticket_that_the_request_came_from_is_taken() {
    let s = Stage::kind().await;
    s.desk().put(41, theirs(OURS, NEW));
    s.desk().put(42, theirs(13, NEW));
    s.desk().put(43, theirs(OURS, 9));
    let open = async |reference: &str| {
        s.settle(Kind::OpenTicket, Facts::new().with(REFERENCE, reference))
            .await
    };
    let facts = open("T-41").await;
    assert_eq!((facts.text(TICKET), facts.bool("adopted")), (Some("41"), Some(true)));
    assert_eq!(s.desk().journal(), [""; 0], "it is taken as it is");
    // Another client's, a closed one and none at all are not taken: a new one is
    // opened, and found again the next time.
    for reference in ["T-42", "T-43", "T-99"] {
        let facts = open(reference).await;
        assert_eq!(
            (facts.text(TICKET), facts.bool("adopted")),
            (Some("44"), Some(false)),
            "{reference}"
        );
    }
    assert_eq!(s.desk().journal(), ["open 44"]);
    assert!(s.desk().tickets()[&42].notes.is_empty());
}

#[tokio::test]
async fn what_people_do_to_the_ticket_is_a_person_s_to_mend() {
    let s = Stage::kind().await;
    let ticket = s.opened().await;
    let digest = s.context.store.put(b"{}".to_vec()).await.unwrap();
    let evidence = ticket.clone().with(EVIDENCE, digest.to_string());
    s.desk().edit(1001).unwrap().status = 9;
    for (kind, params) in [
        (Kind::NoteAccess, counts(&ticket)),
        (Kind::AttachEvidence, evidence.clone()),
    ] {
        let ended = s.drive(&mut Task::of(kind, params)).await;
        assert!(
            matches!(&ended, Ended::Person(why) if why.contains("open it again")),
            "{ended:?}"
        );
    }
    // Closed by somebody is closed.
    s.settle(Kind::CloseTicket, ticket.clone()).await;
    assert_eq!(s.desk().journal(), ["open 1001"]);
    // Open again, everything goes on.
    s.desk().edit(1001).unwrap().status = NEW;
    s.settle(Kind::NoteAccess, counts(&ticket)).await;
    // A file of which a part is there is not taken for the account.
    s.desk().habits.cuts_files_at = Some(1);
    let ended = s.drive(&mut Task::of(Kind::AttachEvidence, evidence)).await;
    assert!(
        matches!(&ended, Ended::Person(why) if why.contains("another size")),
        "{ended:?}"
    );
}

/// A ticket of ours that somebody else wrote down.
fn marked(status: u64) -> Ticket {
    Ticket {
        title: format!("By hand {}", marker(case())),
        ..theirs(OURS, status)
    }
}

#[tokio::test]
async fn of_several_with_the_marker_the_one_that_is_worked_on_is_taken() {
    let s = Stage::kind().await;
    s.desk().put(51, marked(9));
    s.desk().put(52, marked(NEW));
    s.desk().put(53, marked(NEW));
    let facts = s.settle(Kind::OpenTicket, Facts::new()).await;
    assert_eq!(facts.text(TICKET), Some("52"), "the oldest that is open");
    assert_eq!(facts.int("tickets_with_marker"), Some(3));
    // If all are closed it is still not opened again.
    for id in [52, 53] {
        s.desk().edit(id).unwrap().status = 9;
    }
    let facts = s.settle(Kind::OpenTicket, Facts::new()).await;
    assert_eq!(
        (facts.text(TICKET), facts.bool("ticket_closed")),
        (Some("51"), Some(true))
    );
    assert_eq!(s.desk().journal(), [""; 0]);
}

#[tokio::test]
async fn a_ticket_that_is_gone_right_after_it_was_opened_can_be_opened_by_hand() {
    let s = Stage::kind().await;
    // The desk said 999, and somebody deleted that one.
    let remembered = Facts::new().with(TICKET, "999").with("ordered_ms", T0);
    let looks = || Task {
        mode: Mode::ObserveOnly,
        checkpoint: Some(remembered.clone()),
        ..Task::of(Kind::OpenTicket, Facts::new())
    };
    let ended = s.drive(&mut looks()).await;
    assert!(matches!(ended, Ended::Person(_)), "it was acknowledged: {ended:?}");
    assert_eq!(s.desk().journal(), [""; 0]);
    s.desk().put(61, marked(NEW));
    let Ended::Settled(facts) = s.drive(&mut looks()).await else {
        panic!("the one that was opened by hand is not found");
    };
    assert_eq!(facts.text(TICKET), Some("61"));
    assert_eq!(s.desk().journal(), [""; 0]);
}

#[tokio::test]
async fn without_a_ticket_there_is_nothing_to_do() {
    let s = Stage::kind().await;
    let digest = s.context.store.put(b"{}".to_vec()).await.unwrap();
    for (kind, params) in [
        (Kind::NoteAccess, counts(&Facts::new())),
        (Kind::AttachEvidence, Facts::new().with(EVIDENCE, digest.to_string())),
        (Kind::CloseTicket, Facts::new()),
    ] {
        let ended = s.drive(&mut Task::of(kind, params)).await;
        assert!(matches!(ended, Ended::NotApplicable), "{kind}: {ended:?}");
    }
    assert_eq!(s.desk().journal(), [""; 0]);
}

#[tokio::test]
async fn a_desk_that_is_away_or_busy_is_tried_again() {
    let s = Stage::kind().await;
    s.desk().away = true;
    let mut task = Task::of(Kind::OpenTicket, Facts::new());
    for _ in 0..3 {
        let said = s.attempt(&mut task, false).await;
        assert!(
            matches!(&said, Said::Fault { fault } if fault.class == FaultClass::Transient),
            "{said:?}"
        );
        s.pass(HOUR_MS);
    }
    s.desk().away = false;
    s.desk().write_faults = vec![DeskFault::Status(429, Some(7), false)];
    let said = s.attempt(&mut task, false).await;
    let busy = matches!(&said, Said::Fault { fault } if matches!(fault.class, FaultClass::Throttled { .. }));
    assert!(busy, "refused, and so certainly not opened: {said:?}");
    assert!(matches!(s.drive(&mut task).await, Ended::Settled(_)));
    assert_eq!(s.desk().tickets().len(), 1);
}
