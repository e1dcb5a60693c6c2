//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "orrery",
    version,
    about = "Metrics, logs and traces of many Kubernetes clusters, in one binary"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a node
    Run(Run),
    /// Say what is wrong with a file
    Check {
        #[command(subcommand)]
        what: Check,
    },
    /// Put load on any address and measure it
    Bench(crate::bench::Bench),
}

#[derive(Debug, Args)]
pub struct Run {
    /// Configuration file; without one the node runs on its defaults
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Check {
    /// Check a configuration file, naming line and field of every problem
    Config {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
