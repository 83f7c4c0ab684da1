//! Files and notes.

pub(crate) mod hand_over_onedrive;
