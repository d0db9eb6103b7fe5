//! `onecopy-sim`: `onecopy sim` without the rest of Onecopy, which CI builds twice.

use std::io::{ErrorKind, stdout};
use std::process::ExitCode;

use clap::Parser;
use onecopy_sim::cli;

#[derive(Debug, Parser)]
#[command(name = "onecopy-sim", version, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    arguments: cli::Arguments,
}

/// The same as that of `onecopy`: a run makes and drops a great many small things.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(&Cli::parse().arguments, &mut stdout()) {
        Ok(code) => ExitCode::from(code),
        // Whoever read along has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("onecopy-sim: {error}");
            ExitCode::from(cli::VIOLATED)
        }
    }
}
