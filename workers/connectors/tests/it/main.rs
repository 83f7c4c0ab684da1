//! Each connector's laws, against simulated vendors and real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
mod confluence;
mod described;
mod desk;
mod dovecot;
mod google;
mod imap;
mod imap_refused;
mod imap_sign_in;
mod ldap;
mod ninja;
mod program;
mod scim;
mod sim;
mod telemetry;
mod wire;
