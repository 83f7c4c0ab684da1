//! An application that is reached by SCIM: each tenant has its own, and all are of one maker.
//! The same ids are given out in each, so that whoever mistakes the tenant strikes somebody.

use super::accounts::{Elsewhere, HAVE_ONE, Held, canary, lost, mood};
use super::mood::{Mood, lag_ms};
use super::saas;
use crate::rng::Rng;
use crate::simulation::Broken;
use crate::vendor::ROOT;
use offboard_connectors::Connector;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::scim::{ExternalId, MatchBy, Profile, ScimAccess, ScimConnector, ScimSettings};
use offboard_domain::{Kind, TenantId, Timestamp};
use offboard_runtime::Secret;
use offboard_sim::face::{ScimFace, WireAnswer, WireRequest};
use offboard_sim::population::DemoTenant;
use offboard_sim::world::World;
use offboard_sim::world::app::{App, AppFault, AppUser, AppUsers, Habits, Patching};
use offboard_sim::world::desk::DeskFault;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many accounts were ended before anybody leaves, in permille.
const ENDED_BEFORE: u32 = 50;
/// When the first account was made, in milliseconds since 1970.
const FIRST_MS: i64 = 1_700_000_000_000;

/// One tenant's.
struct One {
    app: App,
    before: AppUsers,
    /// Whose each account is, by the ids of both.
    people: BTreeMap<String, String>,
}

struct State {
    rng: Rng,
    mood: Mood,
    tenants: BTreeMap<TenantId, One>,
    canaries: Vec<(TenantId, String)>,
}

/// The application, as it truly is.
pub(crate) struct Applications {
    profile: Profile,
    matched: Vec<MatchBy>,
    habits: Habits,
    state: Mutex<State>,
    broken: Option<Broken>,
}

impl Applications {
    pub(super) fn of(seed: u64, broken: Option<Broken>) -> Self {
        let mut rng = Rng::of(seed, "app");
        let text = rng.happens(300);
        let deletes = rng.happens(250) && broken.is_none();
        let profile = match rng.below(3) {
            _ if deletes => Profile::Delete,
            0 => Profile::Put { text },
            n => Profile::Patch { path: n == 1, text },
        };
        let directory = MatchBy::ExternalId(ExternalId::DirectoryId);
        let matched = if rng.happens(600) {
            vec![MatchBy::UserName, directory]
        } else {
            vec![directory]
        };
        let habits = Habits {
            patch: match profile {
                Profile::Patch { path: true, .. } => Patching::Both,
                Profile::Patch { path: false, .. } => Patching::WithoutPath,
                Profile::Put { .. } | Profile::Delete => Patching::Refused(501),
            },
            put: matches!(profile, Profile::Put { .. }),
            delete: deletes,
            active: !deletes,
            text,
            silent: rng.happens(200),
            versions: rng.happens(500),
            lag_ms: lag_ms(&mut rng),
            ignores_filter: rng.happens(200),
            cased: rng.happens(300),
            page_max: if rng.happens(300) { 4 } else { 100 },
            hides_inactive: rng.happens(200),
            ..Habits::default()
        };
        let state = State {
            rng,
            mood: mood(seed, "app's mood"),
            tenants: BTreeMap::new(),
            canaries: Vec::new(),
        };
        Self {
            profile,
            matched,
            habits,
            state: Mutex::new(state),
            broken,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calm(&self) {
        self.state().mood.calm();
    }

    /// Most of the tenants' people get an account.
    pub(super) fn settle(&self, world: &World, built: &[DemoTenant]) {
        let mut state = self.state();
        let State {
            rng, tenants, canaries, ..
        } = &mut *state;
        for one in built {
            let (Ok(tenant), Some(there)) = (TenantId::new(&one.short), world.tenant(&one.id)) else {
                continue;
            };
            let mut users = AppUsers::new();
            let mut people = BTreeMap::new();
            let mut created_ms = FIRST_MS;
            for (nth, (id, person)) in there.people.iter().enumerate() {
                created_ms += 1_000;
                if self.broken.is_none() && !rng.happens(HAVE_ONE) {
                    continue;
                }
                let canary = canary(rng);
                let user = AppUser {
                    emails: vec![format!("{canary}@app.example")],
                    external_id: Some(id.to_owned()),
                    active: self.broken.is_some() || !self.habits.active || !rng.happens(ENDED_BEFORE),
                    created_ms,
                    ..AppUser::named(&person.upn)
                };
                canaries.push((tenant.clone(), canary));
                let account = format!("u{nth}");
                people.insert(account.clone(), id.to_owned());
                users.insert(account, user);
            }
            let token = format!("{:016x}-of-the-app", rng.next());
            let one = One {
                app: App::new(self.habits, &token, users.clone()),
                before: users,
                people,
            };
            tenants.insert(tenant, one);
        }
    }

    /// What it is asked with.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.state().tenants.values().map(|one| one.app.token.clone()).collect()
    }

    /// What stands in its accounts alone, and whose people's that is.
    pub(super) fn canaries(&self) -> Vec<(TenantId, String)> {
        self.state().canaries.clone()
    }

    /// What it offers.
    pub(super) fn kinds(&self) -> BTreeSet<Kind> {
        let ends = if self.profile == Profile::Delete {
            Kind::DeleteInApp
        } else {
            Kind::DisableInApp
        };
        BTreeSet::from([Kind::ResolveInApp, ends, Kind::ObserveIdentity])
    }

    /// What a tenant's answers, and how long that takes.
    pub(super) fn answer(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        request: &WireRequest,
    ) -> Option<(WireAnswer, Duration)> {
        let mut state = self.state();
        let State { mood, tenants, .. } = &mut *state;
        let app = &mut tenants.get_mut(tenant)?.app;
        let away = mood.is_away(now);
        let takes = mood.takes(away);
        if away {
            return Some((lost(), takes));
        }
        let known = app.journal().len();
        let answer = match mood.fault(request.method == "GET") {
            Some(DeskFault::Cut(happens)) => {
                if happens {
                    drop(ScimFace.answer(app, now.0, request));
                }
                lost()
            }
            Some(DeskFault::Status(status, retry_after_s, happens)) => {
                app.faults.push(AppFault {
                    status,
                    retry_after_s,
                    happens,
                });
                ScimFace.answer(app, now.0, request)
            }
            None => ScimFace.answer(app, now.0, request),
        };
        // Whoever shows no token meets none of them.
        app.faults.clear();
        self.misbehave(app, now, known);
        Some((self.told(answer), takes))
    }

    /// What a broken one does besides, when something has happened that its journal did not
    /// know.
    fn misbehave(&self, app: &mut App, now: Timestamp, known: usize) {
        if self.broken != Some(Broken::AnotherEndsInTheApp) {
            return;
        }
        let ended = app.journal().get(known).and_then(|entry| entry.split_once(' '));
        let Some(ended) = ended.map(|(_, id)| id.to_owned()) else {
            return;
        };
        app.change(now.0, None, |users| {
            let another = users.iter_mut().find(|(id, user)| **id != ended && user.active);
            if let Some((_, user)) = another {
                user.active = false;
            }
        });
    }

    /// What it answers, unless it is broken and calls everybody ended.
    fn told(&self, answer: WireAnswer) -> WireAnswer {
        match answer {
            WireAnswer::Response(mut response) if self.broken == Some(Broken::TheAppCallsEverybodyEnded) => {
                let body = String::from_utf8_lossy(&response.body)
                    .replace("\"active\":true", "\"active\":false")
                    .replace("\"active\":\"True\"", "\"active\":\"False\"");
                response.body = body.into_bytes();
                WireAnswer::Response(response)
            }
            other => other,
        }
    }

    /// A tenant's, as it truly is.
    pub(super) fn elsewhere(&self, tenant: &TenantId) -> Option<Elsewhere> {
        let state = self.state();
        let one = state.tenants.get(tenant)?;
        let mut all = Elsewhere::new(saas());
        let users = one.app.users();
        for (id, before) in &one.before {
            let held = Held {
                account: id.clone(),
                person: one.people.get(id).cloned().unwrap_or_default(),
            };
            match users.get(id) {
                Some(now) if is_ended(before, now) => all.ended.push((held.clone(), "was deactivated".to_owned())),
                Some(now) if now != before => all.strange.push(format!("{id} is another than it was")),
                Some(_) => {}
                None if self.profile == Profile::Delete => all.ended.push((held.clone(), "was deleted".to_owned())),
                None => all.strange.push(format!("{id} was deleted")),
            }
            if users.get(id).is_some_and(|user| user.active) {
                all.open.push(held);
            }
        }
        let new = users.keys().filter(|id| !one.before.contains_key(*id));
        all.strange.extend(new.map(|id| format!("{id} is new")));
        Some(all)
    }

    /// The product's way to a tenant's.
    pub(super) fn connector(&self, http: &HttpClient, tenant: &TenantId) -> Option<Arc<dyn Connector>> {
        let token = self.state().tenants.get(tenant)?.app.token.clone();
        let settings = ScimSettings {
            system: saas(),
            url: format!("{ROOT}/scim/v2"),
            access: ScimAccess::Token(Secret::new(token)),
            authority_pem: None,
            matched: self.matched.clone(),
            profile: self.profile,
        };
        let connector = ScimConnector::open(http, &settings).expect("the simulated application's address is sound");
        Some(Arc::new(connector))
    }
}

/// Whether an account is as it was, but for being ended.
fn is_ended(before: &AppUser, now: &AppUser) -> bool {
    let ended = AppUser {
        active: false,
        version: now.version,
        ..before.clone()
    };
    *now != *before && *now == ended
}
