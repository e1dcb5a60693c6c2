//! What benches that start a program of their own have in common on the command line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::cli;

#[derive(Debug, Args)]
pub struct Measured {
    /// The program that is started; by default this one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Where the programs keep their data and configurations meanwhile
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Leave data and configurations behind; `bench fleet` asks what an earlier run left again, where it is the same
    #[arg(long)]
    pub keep: bool,
    /// The same seed sends the same data
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Also write everything as JSON here
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

impl Measured {
    /// The program and the directory: programs are started in directories of their own, so both are absolute.
    pub fn places(&self) -> Result<(PathBuf, PathBuf)> {
        let binary = match &self.binary {
            Some(path) => path.clone(),
            None => std::env::current_exe().context("finding the program's own file")?,
        };
        Ok((cli::absolute(&binary)?, cli::absolute(&self.dir)?))
    }

    pub fn save<R: Serialize>(&self, report: &R) -> Result<()> {
        cli::save(self.json_file.as_deref(), report)
    }
}
