//! The dispatcher's rules, each by itself, over the seams in memory and a
//! store in a folder. Time is the runtime's and stands still while anything
//! can be done, so that hours pass in milliseconds and a lease runs out when
//! it is waited for.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod administrators;
mod archive;
mod control;
mod dead_letters;
mod desk;
mod desk_endings;
mod fairness;
mod forged;
mod gates;
mod handed_in_again;
mod handover;
mod heirs;
mod holds;
mod late_after_sealing;
mod letting_go;
mod losses;
mod losses_found;
mod merging;
mod moody;
mod posts;
mod publishing;
mod reload;
mod rig;
mod share;
mod sites;
mod store_away;
mod versions;
