//! The laws of a Google Workspace: reading writes nothing, after a write the state
//! is there, twice is once, only the named account is changed, each refusal is
//! the right fault, and nobody is named in any of it. Against a workspace over
//! real HTTP that checks every claim, and that is as unkind as the real one.

mod accounts;
mod discovery;
mod doctor;
mod drives;
mod faults;
mod files;
mod gone;
mod mail;
mod shapes;
mod stage;
mod tokens;
