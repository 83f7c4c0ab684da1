//! Files and notes.

pub(crate) mod hand_over_onedrive;
mod page;
pub(crate) mod write_notes;
