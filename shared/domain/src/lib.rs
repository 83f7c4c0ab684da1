//! The heart of Offboard: what a departure is, what may happen next, and what
//! counts as done.
//!
//! Synchronous and total: no clock, no I/O, no runtime, ordered maps only.
//! Whatever decides is here; whatever only does is elsewhere.

pub mod assignment;
pub mod catalogue;
pub mod control;
pub mod departure;
pub mod fault;
pub mod id;
pub mod judge;
pub mod observation;
pub mod policy;
pub mod record;
pub mod time;
pub mod wake;

pub use assignment::{
    Artifact, Assignment, Check, Checked, Find, Mode, Receipt, Report, Said, Subject, Target,
};
pub use catalogue::{Area, Kind, Lane};
pub use departure::Departure;
pub use fault::{Fault, FaultClass, Rule};
pub use id::{CaseId, Digest, ObjectId, System, TaskId, TenantId};
pub use judge::{Verdict, judge};
pub use observation::{Fact, Facts, Observation};
pub use policy::{Capabilities, Policy};
pub use record::{CaseKey, Record};
pub use time::Timestamp;
pub use wake::{Wake, WakeReason};
