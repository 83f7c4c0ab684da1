//! The invariants by name. A violated one is printed with its name, the case,
//! and the command that replays the seed.

use std::fmt;

macro_rules! invariants {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What must hold whatever happens.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Invariant { $($(#[$doc])* $name,)* }

        impl Invariant {
            /// Every one.
            pub const ALL: &'static [Invariant] = &[$(Invariant::$name,)*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

invariants! {
    /// A departure that was accepted is in the ledger for ever.
    AcceptedNeverLost = "accepted_never_lost";
    /// What anybody asked for is done, refused or called off; what was merged is done by a case
    /// that is closed, and no later than was asked.
    NoRequestForgotten = "no_request_is_forgotten";
    /// A case closes once, and only when every task is settled.
    ClosesOnceWhenAllSettled = "closes_at_most_once_and_only_when_all_settled";
    /// What is sealed was read in a round that began after the last write.
    SealedRoundAfterLastWrite = "sealed_round_began_after_the_last_write";
    /// No licence goes before the mailbox is proven preserved and the files have somebody.
    LicenceAfterPreservation = "no_licence_released_before_mailbox_preserved";
    /// An archive that is called done holds each message once that was there before, and the
    /// evidence names it.
    ArchiveIsWhole = "an_archive_holds_every_message_once";
    /// A case has one ticket, and that is told and given each thing once.
    TicketOnce = "one_ticket_a_case_and_nothing_told_twice";
    /// No ticket is closed before somebody has validated.
    TicketAfterValidation = "no_ticket_closed_before_validation";
    /// A desk that answers nobody delays its own tickets alone.
    NothingWaitsForTheDesk = "a_dead_desk_holds_nothing_back";
    /// No case closes and leaves an account of his open in another system, unless a person went
    /// without that.
    NothingOpenElsewhere = "no_closed_case_leaves_an_account_elsewhere";
    /// Files are given away once a case.
    TransferOnce = "files_are_given_away_once_a_case";
    /// A case has one page of notes, and that has each file once.
    NotesOnce = "one_page_a_case_and_each_file_once";
    /// No wipe without its own approval by somebody else, after its delay.
    WipeOnlyApproved = "no_wipe_without_own_approval";
    /// No device is told to wipe itself twice.
    WipeNeverTwice = "never_wiped_twice";
    /// No personal device is wiped.
    WipeNeverPersonal = "never_wiped_personal";
    /// What must happen once is not ordered again while it may have happened.
    OnceOrderedOnce = "once_is_ordered_once";
    /// An attempt of a once kind is published once.
    OncePublishedOnce = "once_is_published_once";
    /// Nothing is assigned after a cancel.
    NothingAssignedAfterCancel = "nothing_assigned_after_cancel";
    /// A cancelled case ends when nothing is in flight, and every effect is recorded.
    EffectsInFlightRecorded = "every_effect_in_flight_is_recorded";
    /// What a task waits for is settled, its rivals rest, its time has come, it is approved.
    OrderIsLaw = "order_is_law";
    /// Only the case's own subject, successor and their things are touched.
    NeverAnotherSubject = "never_another_subject_or_tenant";
    /// What was given to somebody else is wiped, retired, disabled or taken off its enrolment for
    /// him alone.
    NeverAnothersDevice = "never_a_device_that_is_anothers_by_now";
    /// No other harm that the world can see.
    NoHarm = "no_harm_in_the_world";
    /// The evidence of a closed case is there, whole, and verifies.
    EvidenceVerifies = "evidence_complete_and_verifying";
    /// No personal data where it must not be.
    NoCanary = "no_canary_in_logs_or_other_tenants_evidence";
    /// No secret of a vendor's, no token and no password that was set, whatever is looked into.
    NoSecret = "no_secret_outside_the_escrow";
    /// Nothing logs at the level of an error.
    NoErrorLog = "no_error_log";
    /// Nothing panics.
    NoPanic = "no_panic";
    /// Every tick moves the wake-up forward: nothing spins.
    WakeMovesForward = "every_tick_moves_the_wake_forward";
    /// What memory holds equals what the ledger holds, and credit is neither lost nor made.
    CreditIsKept = "credit_is_neither_lost_nor_made";
    /// Once faults stop, every case settles.
    Liveness = "liveness";
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A violated invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violated {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}
