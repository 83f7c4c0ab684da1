//! The protocol between dispatchers, workers, closer, ledger and broker, as a
//! model that is looked at whole: every order of steps, every fault at every
//! step, at most two of them in a run. `tests/exhaustive.rs` checks that its
//! properties hold, `tests/mutations.rs` that each fails without a law that
//! upholds it.
//!
//! It is about the order of things between processes, and knows nothing of what
//! one process does by itself: that is the domain's own tests' and the
//! simulation's. It depends on no other crate of ours, so it proves the design,
//! not the code: who changes one looks at the other.
//!
//! # What there is
//! Two dispatchers that each hold a view of one case; a ledger that compares
//! version and hash; a broker without order, whose messages may come twice, or
//! never; two workers; the outside world; the closer. The case has a convergent
//! task, a once-only one that waits for it, and closing rounds. Each fault
//! ([`state::Fault`]) happens at most once in a run.
//!
//! # Where it differs from the engine
//! - One append is one record, and what follows by itself from an event (a round
//!   that begins or ends) is part of the fold. Plans, approvals, cancelling,
//!   credit, holds, waivers and discovery are left out; so is the store but for
//!   the evidence.
//! - Both dispatchers always believe that they own the shard.
//! - There is no clock. An order's time runs out when a dispatcher looks; while
//!   something of it is still under way, that counts as a fault. A write comes
//!   before its order's time is over, or never: one that a vendor carries out
//!   later still is not modelled.
//! - A reading that says that an act did not happen, read after that time, is
//!   right. A vendor that lists an order later, and a procedure that takes this
//!   for conclusive, would break what is proven here.
//! - A second copy of an order that nobody published twice says that it is one:
//!   law 8 of the queue. A broker that breaks it is not modelled.
//! - What was ordered once and may have happened is read in its order; the engine
//!   reads it also while what it waits for is open again, and writes nothing.
//! - A claim that its reading does not bear out makes the task rest; in the
//!   engine it needs a person.
//! - Steps between which nobody else could make a difference are one step: a
//!   worker takes, acknowledges and reads; a dispatcher appends, publishes and
//!   acknowledges (its death, and a broker that fails, come in between).
//! - Records that two dispatchers decide alike are alike, as if decided in the
//!   same millisecond; a record from after a loss is never like one from before.
//! - The ledger loses at most its last three records, and never the opening;
//!   together with another fault its last one only, in histories of at most
//!   seven records.
//! - A report on an attempt of the lost history that is older than the present
//!   one is only late, here and in the engine: it proves a loss that nobody sees.
//! - A closing may name any record since the last that is not a late report; the
//!   engine's account always reaches to that one.
//! - A once-only act can be applied twice when the ledger loses its order and
//!   the next is given before anybody can know. [`property::ONCE`] excepts that,
//!   and that it happens is one of the things that must be seen to be possible.

pub mod case;
mod dispatcher;
pub mod history;
mod mutation;
pub mod property;
pub mod protocol;
pub mod state;
mod worker;

pub use mutation::Mutation;
pub use protocol::Protocol;
