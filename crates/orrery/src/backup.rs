//! `orrery backup`, `orrery backup verify | list | prune`, `orrery restore`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use base::Clock;
use clap::{Args, Subcommand};
use store::backup::{self, Place};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Backup {
    #[command(subcommand)]
    what: Option<What>,
    /// Directory that keeps backups; a further backup adds what is new
    #[arg(value_name = "TO")]
    to: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// Whose store.
#[derive(Debug, Args)]
struct Source {
    /// Configuration file of the node, for its data_dir
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, instead of a configuration
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prove every byte of one backup, or of all
    Verify {
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Name of the backup; all without it
        #[arg(long, value_name = "ID")]
        backup: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// Forget all but the newest backups, and delete what only those had
    Prune {
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// How many to keep
        #[arg(long, value_name = "N")]
        keep: std::num::NonZeroUsize,
        #[arg(long)]
        json: bool,
    },
    /// List the backups a directory keeps
    List {
        #[arg(value_name = "FROM")]
        from: PathBuf,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct Restore {
    /// Directory that keeps backups
    #[arg(value_name = "FROM")]
    from: PathBuf,
    #[command(flatten)]
    target: Source,
    /// Name of the backup; the newest without it
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Source {
    fn dir(&self) -> Result<PathBuf> {
        Ok(match (&self.data_dir, &self.config) {
            (Some(dir), _) => dir.clone(),
            (None, Some(file)) => config::load(file)?.data_dir,
            (None, None) => config::defaults().data_dir,
        })
    }
}

pub fn run(args: Backup) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.what {
            Some(What::Verify { from, backup, json }) => verify(&from, backup.as_deref(), json).await,
            Some(What::Prune { from, keep, json }) => prune(&from, keep.get(), json).await,
            Some(What::List { from, json }) => list(&from, json).await,
            None => {
                let Some(to) = args.to else { bail!("say where the backup goes: orrery backup DIRECTORY") };
                take(&args.source.dir()?, &to, args.json).await
            }
        }
    })
}

async fn take(data_dir: &Path, to: &Path, json: bool) -> Result<()> {
    let absolute = |p: &Path| std::path::absolute(p);
    if absolute(to)?.starts_with(absolute(data_dir)?) {
        bail!("{} lies inside the data directory {}", to.display(), data_dir.display());
    }
    let place = Place::writing(to)?;
    let taken = backup::take(data_dir, &place, &Clock::system(), show).await;
    eprintln!();
    let taken = taken?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&taken)?),
        false => {
            let s = &taken.summary;
            println!("backup {} of {}: {} files, {} bytes", s.id, data_dir.display(), s.files, s.bytes);
            println!("  {} bytes are new in {}", taken.new_bytes, to.display());
            for (catalog, version) in &taken.catalogs {
                println!("  {catalog} at version {version}");
            }
        }
    }
    Ok(())
}

async fn verify(from: &Path, id: Option<&str>, json: bool) -> Result<()> {
    let found = backup::verify(&Place::reading(from)?, id, &Clock::system(), show).await;
    eprintln!();
    let found = found?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&found)?),
        false => {
            println!(
                "{} backup(s), {} pieces, {} bytes read",
                found.backups.len(),
                found.pieces,
                found.bytes
            );
            for p in &found.problems {
                println!("  backup {}: {}: {}", p.backup, p.file, p.what);
            }
        }
    }
    match (found.backups.len(), found.problems.len()) {
        (0, _) => bail!("{} keeps no backup", from.display()),
        (_, 0) => Ok(()),
        (_, n) => bail!("{n} problem(s) in the backups of {}", from.display()),
    }
}

async fn prune(from: &Path, keep: usize, json: bool) -> Result<()> {
    if !from.is_dir() {
        bail!("{} is not a directory", from.display());
    }
    let pruned = backup::prune(&Place::writing(from)?, keep).await?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&pruned)?),
        false => {
            println!("{} pieces with {} bytes are deleted", pruned.pieces, pruned.bytes);
            pruned.backups.iter().for_each(|id| println!("  backup {id} is gone"));
        }
    }
    Ok(())
}

async fn list(from: &Path, json: bool) -> Result<()> {
    let all = Place::reading(from)?.list().await?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&all)?),
        false => all.iter().for_each(|s| println!("{}  {} files  {} bytes", s.id, s.files, s.bytes)),
    }
    Ok(())
}

pub fn restore(args: Restore) -> Result<()> {
    let dir = args.target.dir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let restored = runtime.block_on(async {
        let place = Place::reading(&args.from)?;
        let restored = backup::restore(&place, args.backup.as_deref(), &dir, &disklog::RealDisk, show).await;
        eprintln!();
        anyhow::Ok(restored?)
    })?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&restored)?),
        false => {
            let (id, files, bytes) = (&restored.id, restored.files, restored.bytes);
            println!("backup {id} is restored into {}: {files} files, {bytes} bytes", dir.display());
        }
    }
    Ok(())
}

/// One line that replaces itself.
fn show(p: &backup::Progress) {
    eprint!("\r{p}   ");
}
