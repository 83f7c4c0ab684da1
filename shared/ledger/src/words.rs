//! The stored words of what a case waits for. They never change.

use offboard_domain::{CaseId, WakeReason};

/// The stored word of a reason.
pub(crate) fn wake_word(why: WakeReason) -> &'static str {
    match why {
        WakeReason::Ready => "ready",
        WakeReason::Start => "start",
        WakeReason::Retry => "retry",
        WakeReason::Delay => "delay",
        WakeReason::Unanswered => "unanswered",
        WakeReason::Overdue => "overdue",
        WakeReason::WaiverEnds => "waiver_ends",
        WakeReason::HoldEnds => "hold_ends",
        WakeReason::Seal => "seal",
    }
}

/// The reason of a stored word, or what is wrong with it.
pub(crate) fn wake_reason(case: CaseId, word: &str) -> Result<WakeReason, String> {
    Ok(match word {
        "ready" => WakeReason::Ready,
        "start" => WakeReason::Start,
        "retry" => WakeReason::Retry,
        "delay" => WakeReason::Delay,
        "unanswered" => WakeReason::Unanswered,
        "overdue" => WakeReason::Overdue,
        "waiver_ends" => WakeReason::WaiverEnds,
        "hold_ends" => WakeReason::HoldEnds,
        "seal" => WakeReason::Seal,
        other => {
            return Err(format!(
                "{case} is to be woken for '{other}', which this version does not know; use the newer one"
            ));
        }
    })
}
