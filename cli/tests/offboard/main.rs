//! The command line as people and programs meet it: the real binary, in
//! folders of its own, and nothing outside of this machine.

mod channel;
mod documents;
mod folder;
mod input;
mod support;
mod whole;
