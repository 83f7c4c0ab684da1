//! The dispatch key: whoever can write to the broker can order nothing and
//! prove nothing.
//!
//! - An assignment is authenticated with a key that belongs to its queue alone
//!   (HMAC-SHA-256 of the dispatch key and the queue's name). A worker holds
//!   the keys of the queues that it serves, so an order that was copied to
//!   another queue, changed, or made by somebody else is refused.
//! - A report is authenticated with a key that belongs to its own assignment
//!   alone and travels with it. Only who was given the assignment can answer
//!   it; the dispatcher makes the key again from what the report says it
//!   answers, and keeps nothing.

use super::{KeyError, create_bytes, load_bytes};
use hmac::{Hmac, KeyInit as _, Mac as _};
use offboard_domain::{Assignment, CaseId, Digest, Report, TaskId, TenantId};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The header of an assignment that shows that the dispatcher ordered it, and
/// of a report that shows that it answers what was ordered.
pub const PROOF_HEADER: &str = "offboard-proof";
/// The header of an assignment in which the key of its answer travels.
pub const ANSWER_HEADER: &str = "offboard-answer-key";
/// The header of a report that says through which queue its assignment came.
pub const QUEUE_HEADER: &str = "offboard-queue";

type Bytes32 = Zeroizing<[u8; 32]>;

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("dispatch.key")
}

fn queue_path(folder: &Path, queue: &str) -> PathBuf {
    folder.join("queues").join(format!("{queue}.key"))
}

/// Each part with its length before it, so that none can be shifted into the next.
fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn derived(key: &[u8; 32], parts: &[&[u8]]) -> Bytes32 {
    Zeroizing::new(mac(key, parts).finalize().into_bytes().into())
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut out = [0; N];
    if digits.len() != N * 2 {
        return None;
    }
    for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16).and_then(|n| u8::try_from(n).ok());
        *slot = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// The dispatchers' key, from which all others are made.
#[derive(Clone)]
pub struct DispatchKey(Bytes32);

impl DispatchKey {
    /// Makes one in a keys folder.
    ///
    /// # Errors
    /// [`KeyError`], also when there is one already.
    pub fn create(folder: &Path) -> Result<Self, KeyError> {
        create_bytes(&path(folder)).map(Self)
    }

    /// Loads the one in a keys folder.
    ///
    /// # Errors
    /// [`KeyError`] if it is absent, malformed or readable by others.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        load_bytes(&path(folder)).map(Self)
    }

    /// A key that lives as long as this process: enough where dispatcher and
    /// workers are one.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn ephemeral() -> Result<Self, KeyError> {
        super::random().map(Self)
    }

    /// A key of known bytes, for tests and simulations.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key of one queue, by its name.
    #[must_use]
    pub fn queue(&self, name: &str) -> QueueKey {
        QueueKey(derived(&self.0, &[b"offboard.dispatch.queue.v1", name.as_bytes()]))
    }

    /// The key of the answer to an assignment that goes out through this queue.
    #[must_use]
    pub fn answer_to(&self, a: &Assignment, queue: &str) -> AnswerKey {
        self.answer(queue, &a.tenant, a.case, a.task, a.attempt, a.version, a.head)
    }

    /// The key with which a report must be authenticated, by what it says that
    /// it answers and through which queue that came.
    #[must_use]
    pub fn answer_of(&self, r: &Report, queue: &str) -> AnswerKey {
        self.answer(queue, &r.tenant, r.case, r.task, r.attempt, r.version, r.head)
    }

    #[expect(clippy::too_many_arguments, reason = "what an answer is bound to, each by itself")]
    fn answer(
        &self,
        queue: &str,
        tenant: &TenantId,
        case: CaseId,
        task: TaskId,
        attempt: u32,
        version: u64,
        head: Digest,
    ) -> AnswerKey {
        AnswerKey(derived(
            &self.0,
            &[
                b"offboard.dispatch.answer.v1",
                queue.as_bytes(),
                tenant.as_str().as_bytes(),
                &case.0,
                &task.0,
                &attempt.to_be_bytes(),
                &version.to_be_bytes(),
                &head.0,
            ],
        ))
    }
}

/// The key of one queue of assignments.
#[derive(Clone)]
pub struct QueueKey(Bytes32);

impl QueueKey {
    /// Loads the one of a queue from a keys folder (`queues/<queue>.key`).
    ///
    /// # Errors
    /// [`KeyError`] if it is absent, malformed or readable by others.
    pub fn load(folder: &Path, queue: &str) -> Result<Self, KeyError> {
        load_bytes(&queue_path(folder, queue)).map(Self)
    }

    /// Writes it for a worker that must not hold the dispatch key, and returns
    /// the file.
    ///
    /// # Errors
    /// [`KeyError`], also when there is such a file already.
    pub fn save(&self, folder: &Path, queue: &str) -> Result<PathBuf, KeyError> {
        let path = queue_path(folder, queue);
        crate::private::create_folder(&folder.join("queues"))?;
        let mut text = super::hex(self.0.as_slice());
        text.push('\n');
        crate::private::write_new(&path, text.as_bytes())?;
        Ok(path)
    }

    /// The proof of an assignment: of its id, its answer's key and its body.
    #[must_use]
    pub fn prove(&self, id: &str, answer_key: &str, body: &[u8]) -> String {
        prove(&self.0, &[id.as_bytes(), answer_key.as_bytes(), body])
    }

    /// Whether a proof holds.
    #[must_use]
    pub fn holds(&self, proof: &str, id: &str, answer_key: &str, body: &[u8]) -> bool {
        holds(&self.0, proof, &[id.as_bytes(), answer_key.as_bytes(), body])
    }
}

/// The key of the answer to one assignment.
#[derive(Clone)]
pub struct AnswerKey(Bytes32);

impl AnswerKey {
    /// As it travels with its assignment.
    #[must_use]
    pub fn to_header(&self) -> String {
        super::hex(self.0.as_slice()).to_string()
    }

    /// As it came with an assignment; none if it is no key.
    #[must_use]
    pub fn from_header(text: &str) -> Option<Self> {
        unhex(text).map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The proof of a report.
    #[must_use]
    pub fn prove(&self, body: &[u8]) -> String {
        prove(&self.0, &[body])
    }

    /// Whether a report's proof holds.
    #[must_use]
    pub fn holds(&self, proof: &str, body: &[u8]) -> bool {
        holds(&self.0, proof, &[body])
    }
}

fn prove(key: &[u8; 32], parts: &[&[u8]]) -> String {
    super::hex(&mac(key, parts).finalize().into_bytes()).to_string()
}

/// Compares in constant time.
fn holds(key: &[u8; 32], proof: &str, parts: &[&[u8]]) -> bool {
    unhex::<32>(proof).is_some_and(|given| mac(key, parts).verify_slice(&given).is_ok())
}

/// The queue keys of a worker.
#[derive(Debug, Clone)]
pub enum QueueKeys {
    /// Made from the dispatch key: where dispatcher and worker share a folder.
    Dispatch(DispatchKey),
    /// Those of the queues that it serves, and no others.
    Each(BTreeMap<String, QueueKey>),
}

impl QueueKeys {
    /// The key of a queue; none: this worker does not hold it.
    #[must_use]
    pub fn of(&self, queue: &str) -> Option<QueueKey> {
        match self {
            Self::Dispatch(key) => Some(key.queue(queue)),
            Self::Each(keys) => keys.get(queue).cloned(),
        }
    }

    /// The keys of these queues from a keys folder: from the dispatch key if
    /// it is there, else each from its own file.
    ///
    /// # Errors
    /// [`KeyError`] naming the file that is missing or unusable.
    pub fn load(folder: &Path, queues: impl IntoIterator<Item = String>) -> Result<Self, KeyError> {
        if path(folder).exists() {
            return DispatchKey::load(folder).map(Self::Dispatch);
        }
        queues
            .into_iter()
            .map(|q| QueueKey::load(folder, &q).map(|key| (q, key)))
            .collect::<Result<_, _>>()
            .map(Self::Each)
    }
}

macro_rules! silent {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

silent!(DispatchKey, QueueKey, AnswerKey);

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DispatchKey {
        DispatchKey::from_bytes([7; 32])
    }

    #[test]
    fn an_order_holds_on_its_own_queue_alone_and_only_unchanged() {
        let urgent = key().queue("ob.v1.identity.urgent");
        let proof = urgent.prove("t-1", "aa", b"body");
        assert!(urgent.holds(&proof, "t-1", "aa", b"body"));
        for (id, answer, body) in [
            ("t-2", "aa", &b"body"[..]),
            ("t-1", "ab", b"body"),
            ("t-1", "aa", b"bodies"),
        ] {
            assert!(!urgent.holds(&proof, id, answer, body));
        }
        assert!(!key().queue("ob.v1.identity.normal").holds(&proof, "t-1", "aa", b"body"));
        assert!(
            !DispatchKey::from_bytes([8; 32])
                .queue("ob.v1.identity.urgent")
                .holds(&proof, "t-1", "aa", b"body")
        );
        for no_proof in ["", "zz", &proof[..62], &format!("{proof}00")] {
            assert!(!urgent.holds(no_proof, "t-1", "aa", b"body"), "{no_proof}");
        }
        // Parts cannot be shifted into each other.
        assert!(!urgent.holds(&proof, "t-1a", "a", b"body"));
    }

    #[test]
    fn an_answer_key_travels_and_proves_its_own_answer_alone() {
        let tenant = TenantId::new("acme").unwrap();
        let answer = |attempt| {
            key().answer(
                "q",
                &tenant,
                CaseId([1; 10]),
                TaskId([2; 10]),
                attempt,
                5,
                Digest([3; 32]),
            )
        };
        let travelled = AnswerKey::from_header(&answer(1).to_header()).unwrap();
        let proof = travelled.prove(b"report");
        assert!(answer(1).holds(&proof, b"report"));
        assert!(!answer(1).holds(&proof, b"rapport"));
        assert!(!answer(2).holds(&proof, b"report"), "another attempt's answer");
        let elsewhere = key().answer("r", &tenant, CaseId([1; 10]), TaskId([2; 10]), 1, 5, Digest([3; 32]));
        assert!(!elsewhere.holds(&proof, b"report"), "through another queue");
        assert!(AnswerKey::from_header("short").is_none());
    }

    #[test]
    fn a_worker_loads_the_keys_of_its_queues_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, other) = ("ob.v1.device.normal", "ob.v1.device.urgent");
        key().queue(mine).save(folder.path(), mine).unwrap();
        let keys = QueueKeys::load(folder.path(), [mine.to_owned()]).unwrap();
        let proof = key().queue(mine).prove("1", "", b"x");
        assert!(keys.of(mine).unwrap().holds(&proof, "1", "", b"x"));
        assert!(keys.of(other).is_none());
        assert!(QueueKeys::load(folder.path(), [other.to_owned()]).is_err());
        assert!(!format!("{keys:?}").contains("07"), "a key does not print");
    }
}
