//! Each primitive against the simulated Microsoft 365 over real HTTP: it reads
//! and writes what it says, only of whom it says, and meets each fault as the
//! class that it is.

mod applications;
mod bodies;
mod devices;
mod directory;
mod faults;
mod mail;
mod mailboxes;
mod rest;
mod stage;
