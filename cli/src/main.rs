//! `offboard`: one process with every role, or a look into one.

fn main() -> std::process::ExitCode {
    offboard_cli::main()
}
