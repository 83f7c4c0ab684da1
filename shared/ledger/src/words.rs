//! The stored words of what a case waits for, read back.

use offboard_domain::{CaseId, WakeReason};

/// The reason of a stored word, or what is wrong with it.
pub(crate) fn wake_reason(case: CaseId, word: &str) -> Result<WakeReason, String> {
    WakeReason::from_word(word).ok_or_else(|| {
        format!("{case} is to be woken for '{word}', which this version does not know; use the newer one")
    })
}
