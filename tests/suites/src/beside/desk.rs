//! The MSP's desk: one for all its clients, of one of three makers.

use super::mood::{Mood, lag_ms};
use super::psa;
use crate::rng::Rng;
use crate::simulation::Broken;
use crate::vendor::ROOT;
use offboard_connectors::Connector;
use offboard_connectors::autotask::{AutotaskConnector, AutotaskSettings};
use offboard_connectors::connectwise::{ConnectWiseConnector, ConnectWiseSettings};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::halo::{HaloConnector, HaloSettings};
use offboard_domain::Timestamp;
use offboard_runtime::Secret;
use offboard_sim::face::{AutotaskFace, ConnectWiseFace, DeskFace, HaloFace, WireAnswer, WireRequest};
use offboard_sim::world::desk::{Desk, DeskHabits, NEW, Ticket};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of the first tenant; the next ones follow.
const FIRST_CLIENT: u64 = 12;
/// One client more than there are ever tenants.
const CLIENTS: u64 = 4;
/// The type, board or queue of its tickets.
const TYPE: u64 = 21;
/// Its one kind of note.
const NOTE_TYPE: u64 = 7;
/// Its status of a closed ticket.
const CLOSED: u64 = 9;

const SOUND: &str = "the simulated desk's address is sound";

/// The number of the n-th tenant as a client.
pub(crate) fn client(nth: usize) -> u64 {
    FIRST_CLIENT + nth as u64
}

struct State {
    desk: Desk,
    mood: Mood,
    /// When each ticket was first seen to be closed.
    closed: BTreeMap<u64, Timestamp>,
}

/// The desk, as it truly is.
pub(crate) struct Psa {
    maker: DeskFace,
    state: Mutex<State>,
    /// It answers nobody before every case has ended.
    dead: Arc<AtomicBool>,
    broken: Option<Broken>,
}

impl Psa {
    pub(super) fn of(seed: u64, dead: bool, broken: Option<Broken>) -> Self {
        let mut rng = Rng::of(seed, "desk");
        let makers = [DeskFace::Halo, DeskFace::ConnectWise, DeskFace::Autotask];
        let maker = makers[usize::try_from(rng.below(3)).unwrap_or(0)];
        let habits = DeskHabits {
            lag_ms: lag_ms(&mut rng),
            ignores_the_search: rng.happens(200),
            numbers_as_text: rng.happens(200),
            says_no_id: rng.happens(200),
            says_no_count: rng.happens(200),
            ..DeskHabits::default()
        };
        let state = State {
            desk: Desk::new(habits, FIRST_CLIENT..FIRST_CLIENT + CLIENTS),
            mood: Mood::of(rng),
            closed: BTreeMap::new(),
        };
        Self {
            maker,
            state: Mutex::new(state),
            dead: Arc::new(AtomicBool::new(dead)),
            broken,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it answers nobody yet.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// The same, for who is to follow it.
    pub(crate) fn death(&self) -> Arc<AtomicBool> {
        self.dead.clone()
    }

    /// It answers from now on.
    pub(crate) fn revive(&self) {
        self.dead.store(false, Ordering::Relaxed);
    }

    pub(super) fn calm(&self) {
        self.state().mood.calm();
    }

    /// What it proves its callers by.
    pub(crate) fn secret(&self) -> String {
        self.state().desk.caller.1.clone()
    }

    /// Every ticket.
    pub(crate) fn tickets(&self) -> BTreeMap<u64, Ticket> {
        self.state().desk.tickets().clone()
    }

    /// When each ticket that is closed was closed.
    pub(crate) fn closed(&self) -> BTreeMap<u64, Timestamp> {
        self.state().closed.clone()
    }

    /// Everything that happened to it.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.state().desk.journal().to_vec()
    }

    /// What it answers, if anything, and how long that takes.
    pub(super) fn answer(&self, now: Timestamp, request: &WireRequest) -> (WireAnswer, Duration) {
        let mut state = self.state();
        let State { desk, mood, closed } = &mut *state;
        let away = self.is_dead() || mood.is_away(now);
        let reads = request.method == "GET" || request.path.ends_with("/query");
        desk.asked.clear();
        desk.away = away;
        desk.faults = mood.fault(reads).into_iter().collect();
        let known = desk.journal().len();
        let answer = self.face(desk, now, request);
        // Who asks for a token meets none of them.
        desk.faults.clear();
        self.misbehave(desk, now, request, known);
        for (id, ticket) in desk.tickets() {
            if desk.is_closed(ticket) {
                closed.entry(*id).or_insert(now);
            }
        }
        (answer, mood.takes(away))
    }

    fn face(&self, desk: &mut Desk, now: Timestamp, request: &WireRequest) -> WireAnswer {
        match self.maker {
            DeskFace::Halo => HaloFace.answer(desk, now.0, request),
            DeskFace::ConnectWise => ConnectWiseFace.answer(desk, now.0, request),
            DeskFace::Autotask => AutotaskFace::new(ROOT).answer(desk, now.0, request),
        }
    }

    /// What a broken one does besides, when something has happened that its journal did not
    /// know.
    fn misbehave(&self, desk: &mut Desk, now: Timestamp, request: &WireRequest, known: usize) {
        let new: Vec<String> = desk.journal().iter().skip(known).cloned().collect();
        let happened = |what: &str| new.iter().any(|entry| entry.starts_with(what));
        match self.broken {
            Some(Broken::TicketsAreOpenedTwice) if happened("open") => drop(self.face(desk, now, request)),
            Some(Broken::TicketsAreClosedEarly) if happened("note") => {
                let all: Vec<u64> = desk.tickets().keys().copied().collect();
                for id in all {
                    let _closed = desk.set_status(id, CLOSED);
                }
            }
            _ => {}
        }
    }

    /// The product's way to one client's tickets.
    pub(super) fn connector(&self, http: &HttpClient, client: u64) -> Arc<dyn Connector> {
        let (user, secret) = self.state().desk.caller.clone();
        let url = ROOT.to_owned();
        match self.maker {
            DeskFace::Halo => {
                let settings = HaloSettings {
                    system: psa(),
                    url,
                    auth_url: None,
                    tenant: Some("msp".to_owned()),
                    application_id: user,
                    secret: Secret::new(secret),
                    scope: "all".to_owned(),
                    client_id: client,
                    site_id: None,
                    ticket_type_id: TYPE,
                    priority_id: None,
                    urgent_priority_id: Some(1),
                    note_outcome_id: NOTE_TYPE,
                    closed_status_id: CLOSED,
                    adopt_prefix: None,
                };
                Arc::new(HaloConnector::open(http, &settings).expect(SOUND))
            }
            DeskFace::ConnectWise => {
                let settings = ConnectWiseSettings {
                    system: psa(),
                    url,
                    login_company: "msp".to_owned(),
                    public_key: user,
                    private_key: Secret::new(secret),
                    integration_id: "guid".to_owned(),
                    company_id: client,
                    board_id: TYPE,
                    priority_id: None,
                    urgent_priority_id: Some(1),
                    closed_status_id: CLOSED,
                    adopt_prefix: None,
                };
                Arc::new(ConnectWiseConnector::open(http, &settings).expect(SOUND))
            }
            DeskFace::Autotask => {
                let settings = AutotaskSettings {
                    system: psa(),
                    url,
                    user,
                    secret: Secret::new(secret),
                    integration_code: Secret::new("code-canary"),
                    company_id: client,
                    queue_id: TYPE,
                    new_status_id: NEW,
                    closed_status_id: CLOSED,
                    priority_id: 3,
                    urgent_priority_id: Some(1),
                    note_type_id: NOTE_TYPE,
                    publish_id: 2,
                    adopt_prefix: None,
                };
                Arc::new(AutotaskConnector::open(http, &settings).expect(SOUND))
            }
        }
    }
}
