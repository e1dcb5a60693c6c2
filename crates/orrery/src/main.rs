//! The Orrery binary. Parts meet here and nowhere else: the command line chooses, `node` assembles the roles,
//! `run` keeps a node alive from start to signal.

mod backup;
mod bench;
mod certs;
mod check;
mod cli;
mod collect;
mod compare;
mod demo;
mod ends;
mod fleet;
mod forwarding;
mod hooks;
mod import;
mod ledger;
mod listeners;
mod logging;
mod node;
mod origin;
mod peering;
mod pipelines;
mod progress;
mod query;
mod receiving;
mod run;
mod sql;
mod trial;
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
        // Warnings are an outcome of their own.
        cli::Command::Check { what: cli::Check::Config(args) } => return check::config(&args),
        cli::Command::Check { what: cli::Check::Forward(args) } => return check::forward::run(&args),
        cli::Command::Certs { what } => certs::run(what),
        cli::Command::Import(args) => import::run(args),
        cli::Command::Backup(args) => backup::run(args),
        cli::Command::Restore(args) => backup::restore(args),
        // Whether something differs is an outcome of its own.
        cli::Command::Compare(args) => return compare::run(args),
        cli::Command::Query { what } => query::run(what),
        cli::Command::Bench(args) => bench::run(args),
        cli::Command::Demo(args) => demo::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {}", told_once(&e));
            ExitCode::FAILURE
        }
    }
}

/// The chain of causes, outermost first, without those that the one before tells already.
fn told_once(e: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in e.chain() {
        let text = cause.to_string();
        if !told.contains(&text) {
            let separator = if told.is_empty() { "" } else { ": " };
            told = format!("{told}{separator}{text}");
        }
    }
    told
}
