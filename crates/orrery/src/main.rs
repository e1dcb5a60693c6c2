//! The Orrery binary. Parts meet here and nowhere else: the command line chooses, `node` assembles the roles,
//! `run` keeps a node alive from start to signal.

mod bench;
mod check;
mod cli;
mod collect;
mod fleet;
mod hooks;
mod logging;
mod node;
mod run;
mod watch;

use std::process::ExitCode;

use clap::Parser;

/// Returns memory to the system soon after a burst, which a long-running node needs more than raw speed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let outcome = match cli.command {
        cli::Command::Run(args) => run::run(&args),
        cli::Command::Check { what: cli::Check::Config { file } } => check::config(&file),
        cli::Command::Bench(args) => bench::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // The whole chain, outermost first, on one line unless a part has lines of its own.
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
