//! The domain from outside: its laws, its tables and every event that it stores.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod apps;
mod by_hand;
mod clocks;
mod credentials;
mod decide;
mod desk;
mod desk_endings;
mod devices;
mod escrow;
mod faults;
mod files;
mod golden;
mod hybrid;
mod joined;
mod keeping;
mod knowledge;
mod leaving;
mod losses;
mod managed;
mod model;
mod orders;
mod properties;
mod protected;
mod remembered;
mod requests;
mod scripts;
mod states;
mod successor;
mod unplanned;
mod workspace;
