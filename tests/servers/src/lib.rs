//! Private servers for tests: the real programs, each on loopback ports and in
//! a folder of its own, ended when the value that stands for it is dropped —
//! and also when the test's process dies without dropping anything. And a
//! proxy that does to their connections what networks do.
//!
//! An absent program is an error that says what to install; nothing is skipped.

mod certificates;
mod disk;
mod dovecot;
mod http;
mod moto;
mod process;
mod proxy;
mod rabbit;
pub mod redis;
pub mod samba;
mod scim;

pub use certificates::{Certificate, Certificates};
pub use disk::Disk;
pub use dovecot::{ARCHIVER, ARCHIVER_PASSWORD, Dovecot, OWN_PASSWORD};
pub use moto::Moto;
pub use process::{ClosedPort, Guarded, Patience, StartError, free_port, until};
pub use proxy::{Direction, Proxy};
pub use rabbit::{ADMINISTRATOR, Rabbit, RabbitCluster, RabbitOptions};
pub use redis::{MovingSlot, Redis, RedisCluster, RedisOptions, RedisSentinel};
pub use samba::{Samba, SambaOptions};
pub use scim::{Scim, ScimOptions};
