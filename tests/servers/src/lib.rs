//! Private servers for tests: the real programs, each on loopback ports and in
//! a folder of its own, ended when the value that stands for it is dropped —
//! and also when the test's process dies without dropping anything.
//!
//! An absent program is an error that says what to install; nothing is skipped.

mod process;
pub mod redis;

pub use process::{Guarded, Patience, StartError, free_port, until};
pub use redis::{Redis, RedisCluster, RedisOptions, RedisSentinel};
