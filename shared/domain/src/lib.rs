//! The heart of Offboard: what a departure is, what may happen next, and what
//! counts as done.
//!
//! Synchronous and total: no clock, no I/O, no runtime, ordered maps only.
//! Whatever decides is here; whatever only does is elsewhere.

pub mod assignment;
pub mod case;
pub mod catalogue;
pub mod clocks;
pub mod command;
pub mod control;
pub mod decide;
pub mod departure;
pub mod estate;
pub mod event;
pub mod evidence;
pub mod fair;
pub mod fault;
pub mod folders;
pub mod follow_up;
pub mod gates;
pub mod heading;
pub mod heir;
pub mod id;
pub mod judge;
pub mod keeping;
pub mod leaving;
pub mod observation;
pub mod plan;
pub mod policy;
pub mod record;
pub mod standing;
pub mod task;
pub mod time;
pub mod unplanned;
pub mod wake;

pub use assignment::{
    Artifact, Assignment, Check, Checked, Find, Mode, Receipt, Report, Said, Subject, Target, Writes,
};
pub use case::{Case, CaseState};
pub use catalogue::{Area, Kind, Lane};
pub use command::{ApprovalOf, Command, Refusal};
pub use decide::{Decision, decide, decide_loss, decide_reports};
pub use departure::Departure;
pub use event::Event;
pub use fault::{Fault, FaultClass, Rule};
pub use follow_up::follow_up;
pub use gates::{Credit, Gates};
pub use heading::Heading;
pub use id::{AttemptMark, CaseId, Digest, ObjectId, System, TaskId, TenantId};
pub use judge::{Verdict, judge};
pub use observation::{Fact, Facts, Observation};
pub use policy::{Capabilities, Policy};
pub use record::{CaseKey, Record};
pub use standing::{Effect, Next, Standing, next, standing};
pub use task::{Outcome, PlannedTask, Task, TaskState};
pub use time::Timestamp;
pub use wake::{Wake, WakeReason};
