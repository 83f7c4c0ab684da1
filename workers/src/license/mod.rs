//! Licences, and the pool that they come from.

pub(crate) mod keep;
pub(crate) mod prove_pool;
pub(crate) mod release_direct;
pub(crate) mod release_groups;
