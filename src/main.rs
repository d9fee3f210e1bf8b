//! The `vpnd` program: everything it does is in the library.

fn main() -> std::process::ExitCode {
    vpnd::cli::main()
}
