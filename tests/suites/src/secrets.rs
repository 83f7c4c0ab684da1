//! What a simulation keeps secret: recovery keys, local administrators' passwords,
//! codes of activation locks, the secret that the application proves itself with,
//! every token that it shows, and every password that is set.
//!
//! Nobody may read one anywhere: not in a log, a message, an event, an artifact, an
//! account or a page, whichever tenant's it is. Their one lawful place is what the
//! escrow key sealed, and there nothing can be read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use offboard_sim::world::World;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much of a secret is looked for: no two but tokens begin alike, and one that
/// was cut off is a secret all the same. Tokens all begin with one header, so that
/// however many there are they cost one search.
const BEGINNING_CHARS: usize = 24;
/// What is shorter may stand anywhere by chance.
const SHORTEST_CHARS: usize = 12;

/// What is looked for.
#[derive(Default)]
struct Known {
    /// How secrets begin.
    beginnings: BTreeSet<String>,
    /// Codes that are too short for that: they count where they stand by themselves.
    codes: BTreeSet<String>,
}

/// What is secret.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<Known>);

impl Secrets {
    /// Everything that a world keeps secret.
    pub(crate) fn of(world: &World) -> Self {
        let secrets = Self::default();
        for tenant in world.tenants() {
            for app in tenant.apps.values() {
                secrets.learn(&app.secret);
            }
            for (_, device) in tenant.managed_devices.iter() {
                if let Some((code, _)) = &device.activation_lock {
                    secrets.learn(code);
                }
            }
            for (_, device) in tenant.devices.iter() {
                if let Some((password, _)) = &device.laps {
                    secrets.learn(password);
                }
                for key in &device.bitlocker {
                    secrets.learn(&key.key);
                }
            }
        }
        secrets
    }

    /// From now on this is one, as it is and in base64, as some are sent.
    pub(crate) fn learn(&self, secret: &str) {
        if secret.chars().count() < SHORTEST_CHARS {
            return;
        }
        let mut known = self.known();
        for form in [secret.to_owned(), B64.encode(secret)] {
            known.beginnings.insert(form.chars().take(BEGINNING_CHARS).collect());
        }
    }

    /// From now on this code is one, such as the digits that open a wiped Mac.
    pub(crate) fn learn_code(&self, code: &str) {
        self.known().codes.insert(code.to_owned());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a secret begins that stands in a text, if one does.
    pub(crate) fn first_in(&self, text: &str) -> Option<String> {
        let known = self.known();
        let mut begun = known.beginnings.iter().filter(|secret| text.contains(secret.as_str()));
        let mut alone = known.codes.iter().filter(|code| stands_alone(text, code));
        begun.next().or_else(|| alone.next()).cloned()
    }
}

/// Whether a code stands in a text, and is no part of a longer word or number, as of a digest.
fn stands_alone(text: &str, code: &str) -> bool {
    text.match_indices(code).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + code.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Auditor;
    use crate::invariant::Invariant;
    use crate::logs;
    use crate::transcript::{EPOCH, Transcript};
    use offboard_ledger::MemoryLedger;
    use offboard_sim::population::{ADMIN_APP_SECRET, demo};
    use offboard_sim::world::Cruelty;
    use std::sync::Arc;

    #[test]
    fn what_a_world_keeps_secret_is_known_whole_cut_off_and_in_base64() {
        let (world, built) = demo(1, Cruelty::kind(), 1, 0, EPOCH.0);
        let secrets = Secrets::of(&world);
        let tenant = world.tenant(&built[0].id).expect("it was built");
        let devices = || tenant.devices.iter().map(|(_, device)| device);
        let laps = devices().find_map(|d| d.laps.clone()).expect("a laptop has one").0;
        let key = devices()
            .find_map(|d| d.bitlocker.first())
            .expect("a disk has one")
            .key
            .clone();
        for secret in [ADMIN_APP_SECRET, laps.as_str(), key.as_str()] {
            assert!(secrets.first_in(&format!("it is {secret}, of course")).is_some());
            assert!(secrets.first_in(&secret[..BEGINNING_CHARS]).is_some());
            assert!(secrets.first_in(&B64.encode(secret)).is_some());
            assert_eq!(secrets.first_in(&secret[1..]), None);
        }
        assert_eq!(secrets.first_in("nothing of the sort"), None);
        secrets.learn("of");
        assert_eq!(secrets.first_in("nothing of the sort"), None);
    }

    #[test]
    fn a_code_of_digits_is_one_where_it_stands_by_itself() {
        let secrets = Secrets::default();
        secrets.learn_code("204816");
        for told in ["204816", r#"{"code":"204816"}"#, "the code is 204816."] {
            assert_eq!(secrets.first_in(told).as_deref(), Some("204816"), "{told}");
        }
        for other in ["1204816", "2048167", "a204816f", "20481 6"] {
            assert_eq!(secrets.first_in(other), None, "{other}");
        }
    }

    const SECRET: &str = "correct-horse-battery-staple";

    /// How often an auditor who knows the secret saw one after this.
    fn seen(does: impl FnOnce(&Arc<Auditor>)) -> usize {
        let auditor = Auditor::new([7; 32], MemoryLedger::new(), Arc::new(Transcript::new(false)));
        let secrets = Arc::new(Secrets::default());
        secrets.learn(SECRET);
        auditor.keep_secret(secrets);
        does(&auditor);
        let violated = auditor.verdict();
        violated.iter().filter(|v| v.invariant == Invariant::NoSecret).count()
    }

    #[test]
    fn a_secret_in_a_log_is_seen() {
        let log = |text: &'static str| {
            seen(|auditor| {
                let guard = logs::watch(auditor.clone());
                tracing::info!("set {text}");
                drop(guard);
            })
        };
        assert_eq!(log("a new one"), 0);
        assert_eq!(log(SECRET), 1);
    }

    #[test]
    fn a_secret_in_what_was_kept_is_seen_and_in_what_an_envelope_carries() {
        let kept = |name: &str, text: &str| seen(|auditor| auditor.kept(name, text.as_bytes()));
        assert_eq!(kept("page.html", "all is well"), 0);
        assert_eq!(kept("page.html", SECRET), 1);
        let envelope = |text: &str| serde_json::json!({ "payload": B64.encode(text) }).to_string();
        assert_eq!(kept("evidence-1.dsse.json", &envelope("all is well")), 0);
        assert_eq!(kept("evidence-1.dsse.json", &envelope(&format!("{{}}  {SECRET}"))), 1);
    }
}
