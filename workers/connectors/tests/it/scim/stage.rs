//! An application, simulated or real, and connectors to it.

use crate::common::{TestClock, call_with};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::scim::{MatchBy, Profile, ScimAccess, ScimConnector, ScimSettings};
use offboard_connectors::{AppAccount, Apps as _, Call, Known, Matches};
use offboard_domain::{Fault, System};
use offboard_sim::face::ScimSimulator;
use offboard_sim::world::app::{App, AppFault, AppUser, Habits};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Is in the name of every test person; and in nothing that is reported.
pub(crate) const CANARY: &str = "kanarienvogel";

pub(crate) const TOKEN: &str = "tok-canary-5a";

pub(crate) const PATCH: Profile = Profile::Patch {
    path: true,
    text: false,
};

/// A port that nothing is given by chance, as one that was free a moment ago may be.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

const T0: i64 = 1_780_000_000_000;

pub(crate) fn leaver() -> String {
    format!("Anna.{CANARY}@Example.com")
}

pub(crate) struct Stage {
    app: Arc<Mutex<App>>,
    pub(crate) clock: Arc<TestClock>,
    simulator: ScimSimulator,
}

impl Stage {
    /// An application with the leaver (`u1`) and two others.
    pub(crate) async fn with(habits: Habits) -> Self {
        let clock = TestClock::at(T0);
        let mut anna = AppUser::named(&leaver());
        anna.emails = vec![format!("{CANARY}@example.org")];
        anna.external_id = Some("4711".into());
        let mut bert = AppUser::named(&format!("bert.{CANARY}@example.com"));
        bert.external_id = Some("4712".into());
        let users = [
            ("u0".to_owned(), bert),
            ("u1".to_owned(), anna),
            ("u2".to_owned(), AppUser::named(&format!("xanna.{CANARY}@example.com"))),
        ];
        let app = Arc::new(Mutex::new(App::new(habits, TOKEN, users.into())));
        let tell = Arc::clone(&clock);
        let simulator = ScimSimulator::start(Arc::clone(&app), Arc::new(move || tell.ms()))
            .await
            .unwrap();
        Self { app, clock, simulator }
    }

    pub(crate) fn app(&self) -> MutexGuard<'_, App> {
        self.app.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(&self, profile: Profile) -> ScimConnector {
        self.open_by(profile, &[MatchBy::UserName])
    }

    pub(crate) fn open_by(&self, profile: Profile, matched: &[MatchBy]) -> ScimConnector {
        open(self.simulator.url(), TOKEN, profile, matched)
    }

    pub(crate) fn open_with(&self, token: &str) -> ScimConnector {
        open(self.simulator.url(), token, PATCH, &[MatchBy::UserName])
    }

    /// A call that may only read.
    pub(crate) fn reading(&self) -> Call {
        call_with(&self.clock)
    }

    /// A call that may write.
    pub(crate) fn writing(&self) -> Call {
        let mut call = call_with(&self.clock);
        call.allow_writes(true);
        call
    }

    pub(crate) fn order(&self, status: u16, retry_after_s: Option<u32>, happens: bool) {
        self.app().faults.push(AppFault {
            status,
            retry_after_s,
            happens,
        });
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        self.app().journal().to_vec()
    }

    /// The leaver's account, as it is found by his name.
    pub(crate) async fn found(&self, connector: &ScimConnector) -> AppAccount {
        one(connector.find(&mut self.reading(), &by_name(&leaver())).await.unwrap())
    }
}

pub(crate) fn open(url: &str, token: &str, profile: Profile, matched: &[MatchBy]) -> ScimConnector {
    let settings = ScimSettings {
        system: System::new("wiki").unwrap(),
        url: url.to_owned(),
        access: ScimAccess::Token(token.into()),
        authority_pem: None,
        matched: matched.to_vec(),
        profile,
    };
    ScimConnector::open(&HttpClient::new().unwrap(), &settings).unwrap()
}

pub(crate) fn by_name(name: &str) -> Known {
    Known {
        names: vec![name.to_owned()],
        ..Known::default()
    }
}

/// The one that was found.
pub(crate) fn one(found: Matches) -> AppAccount {
    assert_eq!(found.accounts.len(), 1);
    found.accounts.into_iter().next().unwrap()
}

pub(crate) fn ids(found: &Matches) -> Vec<&str> {
    found.accounts.iter().map(|a| a.id.0.as_str()).collect()
}

/// No fault and no receipt names anybody.
pub(crate) fn quiet(fault: &Fault, call: &Call) {
    let said = format!("{fault} {fault:?} {call:?} {:?}", call.receipts());
    for secret in [CANARY, "canary", TOKEN, "Example.com"] {
        assert!(!said.contains(secret), "{said}");
    }
}
