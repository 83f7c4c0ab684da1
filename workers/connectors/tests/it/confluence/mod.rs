//! The laws of a wiki: reading writes nothing, a page is there once whoever else asks for
//! it, nobody's version is overwritten unread, what cannot be seen is not believed to be
//! gone, each refusal is the right fault, and nobody is named in any of it.

mod beliefs;
mod doctor;
mod laws;
mod once;
pub(crate) mod stage;
