//! The threads of a process.

use std::io;
use tokio::runtime::{Builder, Runtime};

/// How many threads may wait for disks and name servers at the same time.
/// Files that are synced together are synced faster than one by one, but a
/// hundred threads that wait for one disk only take turns.
const BLOCKING_THREADS: usize = 16;

/// The threads that everything of a process runs on: one for each core, and a
/// few that may wait.
///
/// # Errors
/// If the system gives no threads.
pub fn threads() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
}
