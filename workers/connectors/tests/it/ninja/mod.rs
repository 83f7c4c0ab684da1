//! The laws of a remote management (NinjaOne): reading writes nothing, after a
//! write the state is there, twice is once, only the named device of the named
//! organisation is changed, each refusal is the right fault, and nobody is named
//! in any of it. Against one that is as unkind as those that are met in the field.

mod doctor;
mod faults;
mod find;
mod marks;
mod orders;
pub(crate) mod stage;
