//! `judge`: kind + observation → verdict. The predicate is data in the kind's
//! catalogue block, so that the worker that acts, the dispatcher that believes
//! nobody, the closer's last round and the generated documents all use one.

use crate::catalogue::Kind;
use crate::observation::{Fact, Facts};
use std::fmt;

/// What an observation means for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The wanted end state is what was read.
    Satisfied,
    /// It is not; this says what was read instead.
    Unsatisfied(String),
    /// There is nothing to do here, for this reason.
    NotApplicable(&'static str),
    /// Only a person can bring it about, for this reason.
    Blocked(&'static str),
}

/// A condition over the facts of one observation. `param` names a parameter of
/// the task; a baseline is what the same attempt read before it wrote.
#[derive(Debug, Clone, Copy)]
pub enum Cond {
    /// Holds always.
    Always,
    /// The fact is yes.
    True(&'static str),
    /// The fact is no.
    False(&'static str),
    /// The list is empty.
    Empty(&'static str),
    /// The text is exactly this.
    Is(&'static str, &'static str),
    /// The fact equals the parameter.
    IsParam(&'static str, &'static str),
    /// The list contains the parameter's text.
    Includes(&'static str, &'static str),
    /// The number is at least this.
    AtLeast(&'static str, i64),
    /// The number is at least the parameter's.
    AtLeastParam(&'static str, &'static str),
    /// The number is greater than the baseline's: a counter that moved.
    MovedPast(&'static str),
    /// The number is smaller than the baseline's.
    FellBelow(&'static str),
    /// The task has this parameter.
    HasParam(&'static str),
    /// Every one of these.
    All(&'static [Cond]),
    /// At least one of these.
    Any(&'static [Cond]),
    /// Not this.
    Not(&'static Cond),
}

impl Cond {
    /// Whether the condition holds. A fact that was not read satisfies nothing
    /// but a `Not` around it.
    #[must_use]
    pub fn holds(&self, facts: &Facts, params: &Facts, baseline: Option<&Facts>) -> bool {
        match self {
            Self::Always => true,
            Self::True(f) => facts.bool(f) == Some(true),
            Self::False(f) => facts.bool(f) == Some(false),
            Self::Empty(f) => facts.list(f).is_some_and(<[String]>::is_empty),
            Self::Is(f, v) => facts.text(f) == Some(*v),
            Self::IsParam(f, p) => facts.get(f).is_some() && facts.get(f) == params.get(p),
            Self::Includes(f, p) => match (facts.list(f), params.get(p)) {
                (Some(list), Some(Fact::Text(t))) => list.contains(t),
                _ => false,
            },
            Self::AtLeast(f, n) => facts.int(f).is_some_and(|v| v >= *n),
            Self::AtLeastParam(f, p) => match (facts.int(f), params.int(p)) {
                (Some(is), Some(wanted)) => is >= wanted,
                _ => false,
            },
            Self::MovedPast(f) => match (facts.int(f), baseline.and_then(|b| b.int(f))) {
                (Some(now), Some(then)) => now > then,
                _ => false,
            },
            Self::FellBelow(f) => match (facts.int(f), baseline.and_then(|b| b.int(f))) {
                (Some(now), Some(then)) => now < then,
                _ => false,
            },
            Self::HasParam(p) => params.get(p).is_some(),
            Self::All(all) => all.iter().all(|c| c.holds(facts, params, baseline)),
            Self::Any(any) => any.iter().any(|c| c.holds(facts, params, baseline)),
            Self::Not(c) => !c.holds(facts, params, baseline),
        }
    }

    fn names(&self, out: &mut Vec<&'static str>) {
        match self {
            Self::Always | Self::HasParam(_) => {}
            Self::True(f)
            | Self::False(f)
            | Self::Empty(f)
            | Self::Is(f, _)
            | Self::IsParam(f, _)
            | Self::Includes(f, _)
            | Self::AtLeast(f, _)
            | Self::AtLeastParam(f, _)
            | Self::MovedPast(f)
            | Self::FellBelow(f) => {
                if !out.contains(f) {
                    out.push(f);
                }
            }
            Self::All(cs) | Self::Any(cs) => cs.iter().for_each(|c| c.names(out)),
            Self::Not(c) => c.names(out),
        }
    }
}

impl Cond {
    /// Sets facts under which this holds, or does not, for those who model a
    /// vendor: whatever else is in `facts` stays. A counter has the value
    /// `counter`, which is the model's to move.
    pub fn arrange(&self, holds: bool, params: &Facts, counter: i64, facts: &mut Facts) {
        match self {
            Self::Always | Self::HasParam(_) => {}
            Self::True(f) => facts.set(f, holds),
            Self::False(f) => facts.set(f, !holds),
            Self::Empty(f) => facts.set(f, if holds { Vec::new() } else { vec!["one".to_owned()] }),
            Self::Is(f, v) => facts.set(f, if holds { *v } else { "otherwise" }),
            Self::IsParam(f, p) => match params.get(p) {
                Some(wanted) if holds => facts.set(f, wanted.clone()),
                _ => facts.set(f, "otherwise"),
            },
            Self::Includes(f, p) => {
                let wanted = params.text(p).filter(|_| holds);
                facts.set(f, wanted.map(str::to_owned).into_iter().collect::<Vec<_>>());
            }
            Self::AtLeast(f, n) => facts.set(f, if holds { *n } else { n - 1 }),
            Self::AtLeastParam(f, p) => {
                let wanted = params.int(p).unwrap_or_default();
                facts.set(f, if holds { wanted } else { wanted - 1 });
            }
            Self::MovedPast(f) => facts.set(f, counter),
            Self::FellBelow(f) => facts.set(f, -counter),
            Self::All(all) | Self::Any(all) => all.iter().for_each(|c| c.arrange(holds, params, counter, facts)),
            Self::Not(c) => c.arrange(!holds, params, counter, facts),
        }
    }
}

impl fmt::Display for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, cs: &[Cond], word: &str| {
            for (i, c) in cs.iter().enumerate() {
                if i > 0 {
                    f.write_str(word)?;
                }
                write!(f, "{c}")?;
            }
            Ok(())
        };
        match self {
            Self::Always => f.write_str("always"),
            Self::True(n) => write!(f, "{n} = yes"),
            Self::False(n) => write!(f, "{n} = no"),
            Self::Empty(n) => write!(f, "{n} is empty"),
            Self::Is(n, v) => write!(f, "{n} = {v}"),
            Self::IsParam(n, p) => write!(f, "{n} = the task's {p}"),
            Self::Includes(n, p) => write!(f, "{n} includes the task's {p}"),
            Self::AtLeast(n, v) => write!(f, "{n} ≥ {v}"),
            Self::AtLeastParam(n, p) => write!(f, "{n} ≥ the task's {p}"),
            Self::MovedPast(n) => write!(f, "{n} moved past its value before"),
            Self::FellBelow(n) => write!(f, "{n} fell below its value before"),
            Self::HasParam(p) => write!(f, "the task has {p}"),
            Self::All(cs) => join(f, cs, " and "),
            Self::Any(cs) => {
                f.write_str("(")?;
                join(f, cs, " or ")?;
                f.write_str(")")
            }
            Self::Not(c) => write!(f, "not ({c})"),
        }
    }
}

/// The predicate of a kind. The first list that has a rule that holds decides:
/// not applicable, then blocked, then satisfied or not.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    /// When there is nothing to do, and why.
    pub not_applicable: &'static [(Cond, &'static str)],
    /// The wanted end state.
    pub satisfied: Cond,
    /// When only a person can go on, and why. Asked only of what is not satisfied.
    pub blocked: &'static [(Cond, &'static str)],
}

/// What the observation means for a task of this kind with these parameters.
/// `baseline` is what was read before the first write of the attempt (or, in
/// the closing round, of the attempt that settled the task).
#[must_use]
pub fn judge(kind: Kind, params: &Facts, facts: &Facts, baseline: Option<&Facts>) -> Verdict {
    let rules = &kind.spec().judge;
    for (cond, why) in rules.not_applicable {
        if cond.holds(facts, params, baseline) {
            return Verdict::NotApplicable(why);
        }
    }
    if rules.satisfied.holds(facts, params, baseline) {
        return Verdict::Satisfied;
    }
    for (cond, why) in rules.blocked {
        if cond.holds(facts, params, baseline) {
            return Verdict::Blocked(why);
        }
    }
    let mut names = Vec::new();
    rules.satisfied.names(&mut names);
    let read: Vec<String> = names
        .iter()
        .map(|n| match facts.get(n) {
            Some(v) => format!("{n} = {v}"),
            None => format!("{n} was not read"),
        })
        .collect();
    Verdict::Unsatisfied(format!("wanted {}; read {}", rules.satisfied, read.join(", ")))
}
