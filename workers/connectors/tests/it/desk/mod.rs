//! The laws of a service desk, against each that there is: reading writes nothing,
//! what was written is found again by its marker, only the client's own tickets are
//! ours, each refusal is the right fault, silence after an order is unknown, and
//! nobody is named in any of it. Against one that is as unkind as those that are
//! met in the field.

mod doctor;
mod faults;
mod halo;
mod laws;
pub(crate) mod stage;
mod wire;
