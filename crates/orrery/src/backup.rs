//! `orrery backup`, `orrery backup verify | list | prune`, `orrery restore`.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use base::Clock;
use clap::{Args, Subcommand};
use store::backup::{self, Place};

use crate::progress::Line;

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
        /// Directory that keeps backups
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Name of the backup; all without it
        #[arg(long, value_name = "ID")]
        backup: Option<String>,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget all but the newest backups, and delete what only those had
    Prune {
        /// Directory that keeps backups
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// How many to keep
        #[arg(long, value_name = "N")]
        keep: std::num::NonZeroUsize,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the backups a directory keeps
    List {
        /// Directory that keeps backups
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Print the outcome as JSON
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
    // Before anything is made in a directory that may be mistyped.
    backup::check(data_dir)?;
    let place = Place::writing(to)?;
    let clock = Clock::system();
    let mut line = Line::new(&clock);
    let taken = backup::take(data_dir, &place, &clock, |p| line.show(p)).await;
    line.end();
    let taken = taken.map_err(|e| {
        anyhow!(e)
            .context("no backup was taken; what was copied stays, so that the next one has less to copy")
    })?;
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
    let clock = Clock::system();
    let mut line = Line::new(&clock);
    let found = backup::verify(&Place::reading(from)?, id, &clock, |p| line.show(p)).await;
    line.end();
    let found = found.map_err(|e| told_with(from, e))?;
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
                let file = if p.file.is_empty() { String::new() } else { format!("{}: ", p.file) };
                println!("  backup {}: {file}{}", p.backup, p.what);
            }
        }
    }
    match (found.backups.len(), found.problems.len()) {
        (0, _) => bail!("{} keeps no backup", from.display()),
        (_, 0) => Ok(()),
        (_, n) => bail!(
            "{n} problem(s) in the backups of {0}: backups not named above are whole; delete the damaged blobs (in {0}/blobs) and take a new backup, which stores again what the node still has",
            from.display()
        ),
    }
}

async fn prune(from: &Path, keep: usize, json: bool) -> Result<()> {
    let place = Place::with_backups(from).await.map_err(|e| told_with(from, e))?;
    let pruned = backup::prune(&place, keep).await?;
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
        false if all.is_empty() => println!("{} keeps no backup", from.display()),
        false => all.iter().for_each(|s| println!("{}  {} files  {} bytes", s.id, s.files, s.bytes)),
    }
    Ok(())
}

pub fn restore(args: Restore) -> Result<()> {
    let dir = args.target.dir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let restored = runtime.block_on(async {
        let place = Place::reading(&args.from)?;
        let mut line = Line::new(&Clock::system());
        let id = args.backup.as_deref();
        let restored = backup::restore(&place, id, &dir, &disklog::RealDisk, |p| line.show(p)).await;
        line.end();
        restored.map_err(|e| {
            let e = told_with(&args.from, e);
            match dir.join(backup::MARKER).exists() {
                true => e.context(format!(
                    "the restore into {} is unfinished and no node starts there; run it again, or empty the directory",
                    dir.display()
                )),
                false => e,
            }
        })
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

/// Where a backup was looked for and not found belongs to the message.
fn told_with(place: &Path, e: store::Error) -> anyhow::Error {
    match e {
        store::Error::NotFound(_) => anyhow!(e).context(place.display().to_string()),
        e => anyhow!(e),
    }
}
