//! `offboard`: one process with every role, or a look into one.

/// What one thread makes another drops, all the time: the C library's allocator
/// makes threads wait for each other then.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    offboard_cli::main()
}
