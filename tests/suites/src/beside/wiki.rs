//! The wiki that every tenant's notes are written into.

use super::mood::{Mood, lag_ms};
use super::notes;
use crate::rng::Rng;
use crate::simulation::Broken;
use crate::vendor::ROOT;
use offboard_connectors::Connector;
use offboard_connectors::confluence::{ConfluenceConnector, ConfluenceSettings};
use offboard_connectors::graph::HttpClient;
use offboard_domain::{ObjectId, Timestamp};
use offboard_runtime::Secret;
use offboard_sim::face::{ConfluenceFace, WireAnswer, WireRequest};
use offboard_sim::world::wiki::{PARENT, SPACE, Wiki, WikiPage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct State {
    wiki: Wiki,
    mood: Mood,
}

/// The wiki, as it truly is.
pub(crate) struct Pages {
    state: Mutex<State>,
    broken: Option<Broken>,
}

impl Pages {
    pub(super) fn of(seed: u64, broken: Option<Broken>) -> Self {
        let mut rng = Rng::of(seed, "wiki");
        let mut wiki = Wiki::default();
        wiki.lag_ms = lag_ms(&mut rng);
        wiki.says_no_id = rng.happens(200);
        let mood = Mood::of(rng);
        Self {
            state: Mutex::new(State { wiki, mood }),
            broken,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calm(&self) {
        self.state().mood.calm();
    }

    /// What it proves its callers by.
    pub(crate) fn secret(&self) -> String {
        self.state().wiki.caller.1.clone()
    }

    /// Whether its lists lag behind what was written.
    pub(crate) fn lags(&self) -> bool {
        self.state().wiki.lag_ms > 0
    }

    /// Every page that was added below the one where notes are.
    pub(crate) fn pages(&self) -> BTreeMap<u64, WikiPage> {
        let mut pages = self.state().wiki.pages().clone();
        pages.remove(&PARENT);
        pages
    }

    /// Everything that happened to it.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.state().wiki.journal().to_vec()
    }

    /// What it answers, if anything, and how long that takes.
    pub(super) fn answer(&self, now: Timestamp, request: &WireRequest) -> (WireAnswer, Duration) {
        let mut state = self.state();
        let State { wiki, mood } = &mut *state;
        let away = mood.is_away(now);
        wiki.asked.clear();
        wiki.away = away;
        wiki.faults = mood.fault(request.method == "GET").into_iter().collect();
        let pages = wiki.pages().len();
        let answer = ConfluenceFace.answer(wiki, now.0, request);
        wiki.faults.clear();
        if self.broken == Some(Broken::PagesAreAddedTwice) && wiki.pages().len() > pages {
            drop(ConfluenceFace.answer(wiki, now.0, &under_another_title(request)));
        }
        (answer, mood.takes(away))
    }

    /// The product's way to it.
    pub(super) fn connector(&self, http: &HttpClient) -> Arc<dyn Connector> {
        let (user, token) = self.state().wiki.caller.clone();
        let id = |n: u64| ObjectId(n.to_string());
        let settings = ConfluenceSettings {
            system: notes(),
            url: ROOT.to_owned(),
            user,
            token: Secret::new(token),
            space_id: id(SPACE),
            parent_page_id: id(PARENT),
        };
        Arc::new(ConfluenceConnector::open(http, &settings).expect("the simulated wiki's address is sound"))
    }
}

/// A title is in a space once, so that a second page needs one of its own.
fn under_another_title(request: &WireRequest) -> WireRequest {
    let mut page: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let title = page["title"].as_str().unwrap_or_default();
    page["title"] = Value::from(format!("{title} once more"));
    WireRequest {
        body: page.to_string().into_bytes(),
        ..request.clone()
    }
}
