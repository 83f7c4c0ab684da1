//! The laws of an application that speaks SCIM: reading writes nothing, after a
//! write the state is there, twice is once, only the named account is changed,
//! each refusal is the right fault, and nobody is named in any of it. Against a
//! real SCIM server (scim2-server), and against one that is as unkind as those
//! that are met in the field.

mod cruel;
mod doctor;
mod faults;
mod real;
mod stage;
mod tls;
