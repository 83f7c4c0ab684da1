//! Workers: they do what an assignment orders, and answer what they read.
//!
//! A worker knows the queue, its vendors and the store of artifacts. It knows
//! no ledger, no plan and no other task: it cannot rewrite history, cannot
//! decide what comes next, and whatever it claims is judged again by the
//! dispatcher from the observations that it sends along.
//!
//! There is one attempt loop ([`attempt`]) for every kind of task, and one
//! small procedure for each kind (a folder per area, a file per kind) that
//! says how its end state is read and how it is brought about. The loop owns
//! the order (observe, judge, apply, observe), the time limits, the leave to
//! write and the classes of what went wrong; a procedure owns none of these.
//!
//! Laws:
//! 1. Nothing is reported as done that was not read back after the write.
//! 2. An assignment that may only observe writes nothing: its call refuses.
//! 3. A *once* kind is acknowledged before it is begun, and one that was
//!    delivered before is not begun again.
//! 4. An attempt ends before the assignment's time does.
//! 5. Every future here may be dropped at any await; the next attempt
//!    converges.

mod apps;
mod attempt;
mod context;
mod desk;
mod device;
mod holds;
mod identity;
mod job;
mod knowledge;
mod license;
mod looked;
mod mailbox;
mod managed;
mod missed;
mod observe_again;
mod premises;
mod procedure;
mod publisher;
mod script;
mod window;
mod worker;
mod workspace;

pub use attempt::attempt;
pub use context::{Connectors, Context};
pub use window::PLACES_MOST;
pub use worker::{Concurrency, Worker, WorkerConfig, report_queue};
