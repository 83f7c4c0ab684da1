//! People, groups and devices to put into a world.
//!
//! [`Town`] builds a tenant by hand, one thing at a time, for tests of one
//! thing; [`demo`] fills a whole world with realistic variety from a seed.
//! Everything built has a known id, and every text about a person holds his
//! canary.

mod demo;
mod town;

pub use demo::{Cast, DemoTenant, demo};
pub use town::{ADMIN_APP, ADMIN_APP_CERTIFICATE, ADMIN_APP_SECRET, DeviceSpec, PersonSpec, Town};
