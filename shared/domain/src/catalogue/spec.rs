//! The shape of a kind's declaration.

use super::Kind;
use crate::control::Controls;
use crate::judge::{Cond, Judge};
use crate::observation::Facts;
use crate::time::{DAY_MS, MINUTE_MS};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which worker serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Area {
    /// Accounts, credentials, roles, groups.
    #[serde(rename = "identity")]
    Identity,
    /// Mailboxes.
    #[serde(rename = "mailbox")]
    Mailbox,
    /// Devices.
    #[serde(rename = "device")]
    Device,
    /// Licences.
    #[serde(rename = "license")]
    License,
    /// Files and notes.
    #[serde(rename = "knowledge")]
    Knowledge,
    /// Tickets.
    #[serde(rename = "desk")]
    Desk,
    /// A human.
    #[serde(rename = "person")]
    Person,
}

impl Area {
    /// The areas that machines serve.
    pub const MACHINES: &'static [Area] = &[
        Area::Identity,
        Area::Mailbox,
        Area::Device,
        Area::License,
        Area::Knowledge,
        Area::Desk,
    ];

    /// The area as a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Mailbox => "mailbox",
            Self::Device => "device",
            Self::License => "license",
            Self::Knowledge => "knowledge",
            Self::Desk => "desk",
            Self::Person => "person",
        }
    }

    /// The area of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::MACHINES
            .iter()
            .copied()
            .chain([Self::Person])
            .find(|a| a.word() == word)
    }

    /// The kind that reads this area's settled tasks again before closing.
    #[must_use]
    pub fn closing_kind(self) -> Option<Kind> {
        match self {
            Self::Identity => Some(Kind::ObserveIdentity),
            Self::Mailbox => Some(Kind::ObserveMailbox),
            Self::Device => Some(Kind::ObserveDevice),
            Self::License => Some(Kind::ObserveLicense),
            Self::Knowledge => Some(Kind::ObserveKnowledge),
            Self::Desk | Self::Person => None,
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Which of an area's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Cutting access; immediate departures.
    #[serde(rename = "urgent")]
    Urgent,
    /// Everything else.
    #[serde(rename = "normal")]
    Normal,
}

impl Lane {
    /// The lane as a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
        }
    }

    /// The lane of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Urgent, Self::Normal].into_iter().find(|l| l.word() == word)
    }
}

/// The stage of the lifecycle, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Who is it, what is there, who agrees.
    #[serde(rename = "initiation")]
    Initiation,
    /// Access is cut.
    #[serde(rename = "access")]
    Access,
    /// Devices are recovered and wiped.
    #[serde(rename = "devices")]
    Devices,
    /// Mail and files are kept and handed over.
    #[serde(rename = "knowledge")]
    Knowledge,
    /// Licences are freed.
    #[serde(rename = "licences")]
    Licences,
    /// Everything is read once more, and validated.
    #[serde(rename = "closure")]
    Closure,
}

impl Stage {
    /// All stages in order.
    pub const ALL: &'static [Stage] = &[
        Stage::Initiation,
        Stage::Access,
        Stage::Devices,
        Stage::Knowledge,
        Stage::Licences,
        Stage::Closure,
    ];

    /// The stage's title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Initiation => "Initiation",
            Self::Access => "Access revocation",
            Self::Devices => "Device recovery",
            Self::Knowledge => "Mail and files",
            Self::Licences => "Licences",
            Self::Closure => "Closure",
        }
    }
}

/// How soon after the departure's time it should be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Urgency {
    /// Within 15 minutes.
    U0,
    /// Within 4 hours.
    U1,
    /// Within a day.
    U2,
    /// Within a week.
    U3,
}

impl Urgency {
    /// The time it allows, in milliseconds.
    #[must_use]
    pub fn within_ms(self) -> i64 {
        match self {
            Self::U0 => 15 * MINUTE_MS,
            Self::U1 => 4 * 60 * MINUTE_MS,
            Self::U2 => 24 * 60 * MINUTE_MS,
            Self::U3 => 7 * 24 * 60 * MINUTE_MS,
        }
    }
}

/// When what is waited for holds nothing up any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When it is settled.
    Settled,
    /// When it is settled, or no machine can do any more about it.
    Tried,
    /// When it was tried once, whatever came of that.
    TriedOnce,
    /// When it was settled once: that it is done once more holds nothing up.
    SettledOnce,
    /// When it was settled once, or no machine can do any more about it.
    SettledOnceOrTried,
}

/// What it waits for: every task of that kind in the case.
#[derive(Debug, Clone, Copy)]
pub struct Dep {
    /// The kind that must be settled.
    pub kind: Kind,
    /// How long after the last of them, in milliseconds.
    pub delay_ms: i64,
    /// Whether to wait also for what that kind found.
    pub with_finds: bool,
    /// How far it must have come.
    pub until: Until,
    /// The longest that it is waited for, in milliseconds since everything that is
    /// waited for without an end was there; none: without an end.
    pub at_most_ms: Option<i64>,
    /// Not waited for once he is to go at once, whoever asks for that and when.
    pub unless_at_once: bool,
    /// Waited for only by a task that has this parameter; none: by every one.
    pub with_param: Option<&'static str>,
    /// Of that kind, only the tasks of its own system are waited for.
    pub same_system: bool,
    /// Of that kind, only what may be about its own device is waited for.
    pub same_device: bool,
    /// Of that kind, only the tasks of mail servers whose mailboxes are the workspace's own
    /// are waited for.
    pub workspace_mail: bool,
}

impl Dep {
    /// Waits until all of `kind`, and all that they found, are settled.
    #[must_use]
    pub const fn on(kind: Kind) -> Self {
        Self {
            kind,
            delay_ms: 0,
            with_finds: true,
            until: Until::Settled,
            at_most_ms: None,
            unless_at_once: false,
            with_param: None,
            same_system: false,
            same_device: false,
            workspace_mail: false,
        }
    }

    /// Waits until all of `kind` are settled, but not for what they found.
    #[must_use]
    pub const fn only(kind: Kind) -> Self {
        Self {
            with_finds: false,
            ..Self::on(kind)
        }
    }

    /// Waits until this long after the last of `kind` was settled.
    #[must_use]
    pub const fn delayed(kind: Kind, delay_ms: i64) -> Self {
        Self {
            delay_ms,
            ..Self::on(kind)
        }
    }

    /// Waits until all of `kind` are settled, or are for a person to deal with:
    /// where it is better to go on without it than to wait for him.
    #[must_use]
    pub const fn tried(kind: Kind) -> Self {
        Self {
            until: Until::Tried,
            ..Self::on(kind)
        }
    }

    /// Waits until all of `kind` were tried once: where it is better to go on than to
    /// wait for a vendor that keeps failing.
    #[must_use]
    pub const fn tried_once(kind: Kind) -> Self {
        Self {
            until: Until::TriedOnce,
            ..Self::on(kind)
        }
    }

    /// Waits until all of `kind` were settled once, and not while one is read once
    /// more: what was known then was enough to go on.
    #[must_use]
    pub const fn once(kind: Kind) -> Self {
        Self {
            until: Until::SettledOnce,
            ..Self::on(kind)
        }
    }

    /// Waits until all of `kind` were settled once, or are for a person to deal with:
    /// what waits does not follow them again when he has.
    #[must_use]
    pub const fn once_or_tried(kind: Kind) -> Self {
        Self {
            until: Until::SettledOnceOrTried,
            ..Self::on(kind)
        }
    }

    /// Whether what waits may go on before it is settled, and follows it again then.
    #[must_use]
    pub fn goes_ahead(&self) -> bool {
        matches!(self.until, Until::Tried | Until::TriedOnce) || self.at_most_ms.is_some()
    }

    /// The same, but no longer than this.
    #[must_use]
    pub const fn at_most(self, ms: i64) -> Self {
        Self {
            at_most_ms: Some(ms),
            ..self
        }
    }

    /// The same, but not once he is to go at once.
    #[must_use]
    pub const fn unless_at_once(self) -> Self {
        Self {
            unless_at_once: true,
            ..self
        }
    }

    /// The same, but not for the tasks of other systems than its own.
    #[must_use]
    pub const fn in_its_system(self) -> Self {
        Self {
            same_system: true,
            ..self
        }
    }

    /// The same, but not for the tasks of devices that are certainly others than its own:
    /// a laptop that never comes back holds up nothing of one that has. See
    /// [`crate::case::Case::may_be_one_device`].
    #[must_use]
    pub const fn of_its_device(self) -> Self {
        Self {
            same_device: true,
            ..self
        }
    }

    /// The same, but not for the tasks of mail servers whose mailboxes are another
    /// account's than the workspace's.
    #[must_use]
    pub const fn of_workspace_mail(self) -> Self {
        Self {
            workspace_mail: true,
            ..self
        }
    }

    /// The same, but only by a task that has this parameter.
    #[must_use]
    pub const fn with_param(self, name: &'static str) -> Self {
        Self {
            with_param: Some(name),
            ..self
        }
    }
}

/// What a person must have agreed to before it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Nothing: it only reads, or a person does it.
    None,
    /// The plan.
    Plan,
    /// The plan; but an immediate departure goes ahead and is approved after.
    PlanOrBurst,
    /// Exactly this task, its target and parameters.
    Own,
}

/// How a satisfied task is proven, so that the evidence never over-claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// An independent read equals the wanted state.
    Read,
    /// A value that only grows moved past where it was.
    Counter,
    /// The provider keeps no readable state; only its acknowledgement.
    Acknowledged,
    /// A named person says so.
    Attested,
}

/// What proves it in the closing round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosingProof {
    /// It is read again.
    Read,
    /// Its receipt is kept, for this reason.
    Receipt(&'static str),
}

/// When the plan contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Always, once for each system that claims it.
    Always,
    /// When a person or the policy chose it; the name of the choice.
    Chosen(&'static str),
    /// Never by the plan: a finder adds it.
    Found,
    /// Never by the plan: another request for the same person adds it.
    Joined,
    /// Never by the plan: a case that ends without a departure adds it.
    Ended,
    /// Never by the plan: the closing round adds it.
    ClosingRound,
}

/// How it stands to the closing of its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closes {
    /// The case closes when it is settled.
    With,
    /// It goes on beside the case, which waits for it in nothing.
    Beside,
    /// The same, and it begins when the account is sealed and the case closed.
    After,
    /// Instead of that: it begins when the case ends without a departure, and waits for
    /// nothing that belongs to one.
    Instead,
}

/// The word of a worker by a rule that a kind had before it was to do more: it ended the kind
/// then, and does no longer. Why by what was read, and not by a number that the worker sends, is
/// in `docs/decisions/0066-an-older-workers-word-is-told-by-what-it-lacks.md`.
#[derive(Debug, Clone, Copy)]
pub struct OlderRule {
    /// What he has read when he says that nothing is left.
    pub says: Cond,
    /// The list that he does not read, and that is read by whoever does it all.
    pub unread: &'static str,
    /// What he lacks, for people: `does not …`.
    pub lacks: &'static str,
}

/// One kind's declaration.
#[derive(Debug, Clone, Copy)]
pub struct KindSpec {
    /// Stored name, `area.verb_object`.
    pub name: &'static str,
    /// What it does, as an order, for people.
    pub title: &'static str,
    /// Which worker serves it.
    pub area: Area,
    /// Stage of the lifecycle.
    pub stage: Stage,
    /// How soon.
    pub urgency: Urgency,
    /// When the plan contains it.
    pub wanted: Wanted,
    /// Whether a tenant's policy may leave it out. None of these cuts access,
    /// reads what others rely on, keeps what another kind destroys, or approves.
    pub skippable: bool,
    /// Whether it writes at all.
    pub writes: bool,
    /// What it waits for.
    pub after: &'static [Dep],
    /// It waits for all that the case has of this stage, and for whoever may
    /// find more of it.
    pub after_stage: Option<Stage>,
    /// Whether the case waits for it, or goes on without.
    pub closes: Closes,
    /// Kinds that must not be in flight at the same time in the case.
    pub conflicts: &'static [Kind],
    /// True: executed twice it leaves the same state. False: *once*.
    pub convergent: bool,
    /// Whether it can be undone.
    pub reversible: bool,
    /// What it may find.
    pub finds: &'static [Kind],
    /// Who must agree.
    pub approval: Approval,
    /// How many tries that cost an attempt it has.
    pub attempts: u32,
    /// How long one attempt may run, in milliseconds.
    pub run_for_ms: i64,
    /// How long a vendor that is not ready is waited for before a person is
    /// asked, in milliseconds.
    pub patience_ms: i64,
    /// For a *once* kind: how long what was ordered may stay invisible to who reads,
    /// in milliseconds. Before that, that nothing is there proves nothing.
    pub shows_within_ms: i64,
    /// The predicate.
    pub judge: Judge,
    /// How it is proven.
    pub proof: Proof,
    /// When what satisfies it proves less than that, and counts as acknowledged only;
    /// none: never.
    pub acknowledged_when: Option<Cond>,
    /// What proves it in the closing round.
    pub closing: ClosingProof,
    /// What must be done again when this had to be.
    pub redo: &'static [Kind],
    /// What it reads may have changed by the departure's time: it is read anew then. What it
    /// recorded before the first write stays the record.
    pub read_anew: bool,
    /// What it is about must still be there at the end: that nothing of it is left
    /// to be read does not end it.
    pub keeps: bool,
    /// The list that it reads and clears part by part, each before it comes to the next:
    /// what there was before is all of them.
    pub in_parts: Option<&'static str>,
    /// The rules that it had before, as long as there may be workers that follow them.
    pub older_rules: &'static [OlderRule],
    /// The controls that its evidence supports.
    pub controls: Controls,
}

impl KindSpec {
    /// Whether it cuts the person's access, which is promised to be quick.
    #[must_use]
    pub fn cuts_access(&self) -> bool {
        self.writes && self.stage == Stage::Access && matches!(self.urgency, Urgency::U0 | Urgency::U1)
    }

    /// Whether it does so within the minutes that are promised: not what may take hours, nor
    /// what is done once more later to be sure (decision 73).
    #[must_use]
    pub fn cuts_access_at_once(&self) -> bool {
        self.cuts_access() && self.urgency == Urgency::U0 && self.after.iter().all(|dep| dep.delay_ms == 0)
    }

    /// Whether access is open while it is not settled: it cuts access at once, or may find
    /// what does.
    #[must_use]
    pub fn leads_to_cut_access(&self) -> bool {
        self.cuts_access_at_once() || self.finds.iter().any(|found| found.spec().leads_to_cut_access())
    }

    /// The older rule by which this was read, if it was by one.
    pub(crate) fn older_rule(&self, read: &Facts, params: &Facts) -> Option<&'static OlderRule> {
        let is_its_word = |r: &&OlderRule| r.says.holds(read, params, None) && read.list(r.unread).is_none();
        self.older_rules.iter().find(is_its_word)
    }

    /// Whether it may go ahead of that kind, and is done once more when that is done after
    /// all. Not what must not happen twice, nor what writes and can be looked at no longer,
    /// and has its reading kept for that.
    pub(crate) fn goes_ahead_of(&self, other: Kind) -> bool {
        // What applications there are is for a person; nothing is done otherwise for it.
        let for_a_person = other.spec().finds == [Kind::DecideApp];
        let kept = self.writes && self.proof == Proof::Read && matches!(self.closing, ClosingProof::Receipt(_));
        let repeats = self.convergent && !kept && !for_a_person;
        repeats && self.after.iter().any(|d| d.goes_ahead() && d.kind == other)
    }
}

/// How long an ordinary attempt may run: below every broker's consumer timeout.
pub const RUN_FOR_MS: i64 = 2 * MINUTE_MS;
/// How long one slice of long work may run.
pub const SLICE_MS: i64 = 4 * MINUTE_MS;
/// Tries of an ordinary kind: with the schedule's full jitter about thirty hours, and two and
/// a half days at most.
pub const ATTEMPTS: u32 = 72;

/// How long a vendor is waited for: a weekend and a working day.
pub const PATIENCE_MS: i64 = 3 * DAY_MS;

/// A judge for what is always satisfied once it has been read.
pub const READ_IS_ENOUGH: Judge = Judge {
    not_applicable: &[],
    satisfied: Cond::Always,
    blocked: &[],
};

/// The defaults of a kind that reads.
pub(super) const READING: KindSpec = KindSpec {
    name: "",
    title: "",
    area: Area::Identity,
    stage: Stage::Initiation,
    urgency: Urgency::U0,
    wanted: Wanted::Always,
    skippable: false,
    writes: false,
    after: &[],
    after_stage: None,
    closes: Closes::With,
    conflicts: &[],
    convergent: true,
    reversible: true,
    finds: &[],
    approval: Approval::None,
    attempts: ATTEMPTS,
    run_for_ms: RUN_FOR_MS,
    patience_ms: PATIENCE_MS,
    shows_within_ms: 0,
    judge: READ_IS_ENOUGH,
    proof: Proof::Read,
    acknowledged_when: None,
    closing: ClosingProof::Receipt("it describes the time before the first write"),
    redo: &[],
    read_anew: false,
    keeps: false,
    in_parts: None,
    older_rules: &[],
    controls: crate::control::INITIATION,
};

/// The defaults of a kind that writes.
pub(super) const WRITING: KindSpec = KindSpec {
    stage: Stage::Access,
    urgency: Urgency::U1,
    writes: true,
    approval: Approval::Plan,
    closing: ClosingProof::Read,
    controls: crate::control::ACCESS,
    ..READING
};

/// The defaults of the kinds of the closing round.
pub(super) const OBSERVING_AGAIN: KindSpec = KindSpec {
    stage: Stage::Closure,
    urgency: Urgency::U2,
    wanted: Wanted::ClosingRound,
    run_for_ms: SLICE_MS,
    closing: ClosingProof::Receipt("it is the closing round"),
    controls: crate::control::RECONCILIATION,
    ..READING
};
