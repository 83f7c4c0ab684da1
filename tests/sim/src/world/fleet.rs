//! A remote management with the devices of several client companies in it, and
//! every unkindness that one met in the field. It is no part of a tenant's cloud.

use std::collections::{BTreeMap, BTreeSet};

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which client company's.
    pub organization: u64,
    /// The id by which it is known again.
    pub uid: String,
    /// Whom it is assigned to.
    pub owner: Option<String>,
    /// What sort of device it is, in the vendor's word.
    pub class: String,
    /// What the maker wrote as its number.
    pub serial: String,
    /// How the management stands to it, in the vendor's word.
    pub status: String,
    /// Its tags.
    pub tags: BTreeSet<u64>,
    /// Its custom fields.
    pub fields: BTreeMap<String, String>,
    /// Who signed in on it last.
    pub signed_in: Vec<String>,
    /// Scripts that were ordered, in order.
    pub runs: Vec<Run>,
    /// Until when something of it is silenced, in milliseconds since 1970, and why.
    /// What is silenced is shown to nobody.
    pub silence: Option<(i64, String)>,
    /// What is installed on it: each by its name and its publisher.
    pub software: Vec<(String, String)>,
}

impl Node {
    /// A computer of this company with this number.
    #[must_use]
    pub fn of(organization: u64, serial: &str) -> Self {
        Self {
            organization,
            uid: format!("node-{organization}-{serial}"),
            owner: None,
            class: "WINDOWS_WORKSTATION".to_owned(),
            serial: serial.to_owned(),
            status: "APPROVED".to_owned(),
            tags: BTreeSet::new(),
            fields: BTreeMap::new(),
            signed_in: Vec::new(),
            runs: Vec::new(),
            silence: None,
            software: Vec::new(),
        }
    }
}

/// A script that was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When, in milliseconds since 1970.
    pub ordered_ms: i64,
    /// Which script.
    pub script: u64,
    /// With which parameter.
    pub parameters: String,
    /// Whether it has run.
    pub over: bool,
}

/// Somebody of a client company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndUser {
    /// Which client company's.
    pub organization: u64,
    /// The id that devices are assigned to.
    pub uid: String,
    /// His address.
    pub email: String,
}

/// A technician of the MSP's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Technician {
    /// His id.
    pub id: u64,
    /// The id that devices are assigned to.
    pub uid: String,
    /// His address.
    pub email: String,
    /// Whether he may sign in.
    pub enabled: bool,
}

/// How it differs from what its description says, and what it does slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetHabits {
    /// How long readings lag behind writes, in milliseconds.
    pub lag_ms: i64,
    /// The most that it lists at once.
    pub page_max: usize,
    /// It gives the first page again, whichever is asked for.
    pub ignores_after: bool,
    /// It writes numbers as texts.
    pub numbers_as_text: bool,
    /// Lists of one company show others' devices too.
    pub lists_others: bool,
    /// It shows no tags.
    pub hides_tags: bool,
    /// Activities and jobs show a script's parameter.
    pub shows_parameters: bool,
    /// A device that was decommissioned is not found any more.
    pub forgets: bool,
    /// How long a device takes to run a script, in milliseconds; none: it is off.
    pub runs_after_ms: Option<i64>,
    /// Scripts say that they failed.
    pub scripts_fail: bool,
    /// It runs scripts for technicians alone.
    pub wants_a_technician: bool,
    /// It lets no application read who its technicians are.
    pub hides_technicians: bool,
    /// It keeps no activity that is older, in milliseconds.
    pub keeps_activities_ms: Option<i64>,
}

impl Default for FleetHabits {
    fn default() -> Self {
        Self {
            lag_ms: 0,
            page_max: 100,
            ignores_after: false,
            numbers_as_text: false,
            lists_others: false,
            hides_tags: false,
            shows_parameters: true,
            forgets: false,
            runs_after_ms: Some(60_000),
            scripts_fail: false,
            wants_a_technician: false,
            hides_technicians: false,
            keeps_activities_ms: None,
        }
    }
}

/// What the next requests meet in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetFault {
    /// This status, and when to come again in seconds; whether what was asked for
    /// happens all the same.
    Status(u16, Option<u32>, bool),
    /// A page for people, with this status; it does not happen.
    Page(u16),
    /// The connection closes without a word; whether it happened.
    Cut(bool),
}

/// Devices by id.
pub type Nodes = BTreeMap<u64, Node>;

/// A remote management.
#[derive(Debug)]
pub struct Fleet {
    /// How it is.
    pub habits: FleetHabits,
    /// The application that it knows, and its secret.
    pub client: (String, String),
    /// The scopes that the application was given.
    pub scopes: BTreeSet<String>,
    /// Client companies.
    pub organizations: BTreeSet<u64>,
    /// Their people.
    pub users: Vec<EndUser>,
    /// The MSP's technicians.
    pub technicians: Vec<Technician>,
    /// Tags by id.
    pub tags: BTreeMap<u64, String>,
    /// Custom fields, each with what the API may do with it.
    pub fields: BTreeMap<String, String>,
    /// Scripts in the library.
    pub scripts: BTreeSet<u64>,
    /// Into which field scripts write that they ran.
    pub script_writes: String,
    /// What the next requests meet, last first.
    pub faults: Vec<FleetFault>,
    /// What the next requests that write meet, last first.
    pub write_faults: Vec<FleetFault>,
    /// A change by somebody else, made when the next one of ours has been.
    pub then_tags: Option<(u64, BTreeSet<u64>)>,
    tokens: BTreeMap<String, BTreeSet<String>>,
    given: u32,
    history: Vec<(i64, Nodes)>,
    journal: Vec<String>,
}

impl Fleet {
    /// A management with these devices.
    #[must_use]
    pub fn new(habits: FleetHabits, nodes: Nodes) -> Self {
        let organizations = nodes.values().map(|n| n.organization).collect();
        Self {
            habits,
            client: ("client".to_owned(), "s3cret-canary".to_owned()),
            scopes: ["monitoring", "management"].map(str::to_owned).into(),
            organizations,
            users: Vec::new(),
            technicians: Vec::new(),
            tags: BTreeMap::new(),
            fields: BTreeMap::new(),
            scripts: BTreeSet::new(),
            script_writes: String::new(),
            faults: Vec::new(),
            write_faults: Vec::new(),
            then_tags: None,
            tokens: BTreeMap::new(),
            given: 0,
            history: vec![(i64::MIN, nodes)],
            journal: Vec::new(),
        }
    }

    /// The devices as they are.
    #[must_use]
    pub fn nodes(&self) -> &Nodes {
        // There is a first state from the beginning.
        &self.history[self.history.len() - 1].1
    }

    /// The devices as they are shown at that time.
    #[must_use]
    pub fn shown(&self, now_ms: i64) -> &Nodes {
        let until = now_ms.saturating_sub(self.habits.lag_ms);
        let seen = self.history.iter().rev().find(|(since, _)| *since <= until);
        &seen.unwrap_or(&self.history[0]).1
    }

    /// Every effect, as verb and id.
    #[must_use]
    pub fn journal(&self) -> &[String] {
        &self.journal
    }

    /// A change, from wherever; what it does is noted if it is a client's.
    pub fn change(&mut self, now_ms: i64, effect: Option<String>, how: impl FnOnce(&mut Nodes)) {
        let mut nodes = self.nodes().clone();
        how(&mut nodes);
        self.history.push((now_ms, nodes));
        self.journal.extend(effect);
    }

    /// Gives out a token of these scopes.
    pub fn give(&mut self, scopes: BTreeSet<String>) -> String {
        self.given += 1;
        let token = format!("tok-canary-{}", self.given);
        self.tokens.insert(token.clone(), scopes);
        token
    }

    /// What a token may.
    #[must_use]
    pub fn scopes_of(&self, token: &str) -> Option<&BTreeSet<String>> {
        self.tokens.get(token)
    }

    /// Takes every token back, as at their end.
    pub fn take_back(&mut self) {
        self.tokens.clear();
    }

    /// How many tokens were given out.
    #[must_use]
    pub fn given(&self) -> u32 {
        self.given
    }

    /// Lets devices run what is due by now.
    pub fn advance(&mut self, now_ms: i64) {
        let Some(after_ms) = self.habits.runs_after_ms else {
            return;
        };
        let due = |run: &Run| !run.over && run.ordered_ms.saturating_add(after_ms) <= now_ms;
        if !self.nodes().values().any(|n| n.runs.iter().any(due)) {
            return;
        }
        let (field, fails) = (self.script_writes.clone(), self.habits.scripts_fail);
        self.change(now_ms, None, |nodes| {
            for node in nodes.values_mut() {
                for run in node.runs.iter_mut().filter(|run| due(run)) {
                    run.over = true;
                    let said = if fails {
                        format!("{} failed", run.parameters)
                    } else {
                        run.parameters.clone()
                    };
                    node.fields.insert(field.clone(), said);
                }
            }
        });
    }
}
