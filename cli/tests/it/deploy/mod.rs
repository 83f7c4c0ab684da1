//! `deploy/` and `docs/operations.md`, read as strictly as they can be without a
//! container engine, a cluster or an init system: every file parses, every
//! reference leads somewhere, every command line is one that the real program
//! takes, every configuration is one that it reads. And what can be run is run:
//! the roles start with the files that Compose gives them and no others, broker and
//! ledger with theirs, and what checks such files does where it is installed.

mod commands;
mod compose;
mod configuration;
mod files;
mod image;
mod kubernetes;
mod linted;
mod operations;
mod start;
mod units;
