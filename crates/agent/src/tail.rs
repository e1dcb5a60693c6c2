//! Following log files: plain files by glob, and pod logs in the layout the kubelet gives them.
//!
//! ```text
//! discover (globs, pods) ─► tailer: files by identity ─► plan: one range of bytes per file
//!      ▲ notify, poll                                  │
//!      │                    checkpoint: what is planned, before it is appended
//!      │                                               │
//!      └──────────── acknowledged: offset moves ◄── append (batch id = file key, start, end)
//! ```
//!
//! # No line lost, none doubled
//! An append covers a range of bytes of one file, `[start, end)`, that begins and ends between records. Its
//! batch id is (key of the file, start, end). Before a unit is appended, the checkpoint on disk names its
//! range; after it was acknowledged, the next checkpoint moves the file's offset to its end. After a crash
//! the planned range is read again and appended under the same id: had it been stored, the store recognises
//! it. Log files only grow, so the range holds the same lines; when the file's first bytes are no longer
//! what the checkpoint remembers, it is another file and begins at 0 with another key.
//!
//! Rotation renames files, and may do so more than once between two looks at a directory, or while the node is down.
//! So what stands beside a followed file under a name that a rotation gives is read too, gzip unpacked where the rest of
//! a file is left only so, and remembered until it is deleted.
//!
//! A range never ends inside a record that is still incomplete (a line without its line feed, a CRI record
//! whose last part has not come), so reading needs no state but the offset.

mod checkpoint;
mod discover;
mod follow;
pub(crate) mod glob;
mod lines;
mod packed;
mod records;
mod runner;
mod tailer;

use std::{path::PathBuf, time::Duration};

use crate::Context;

/// What is followed and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Distinguishes several tails of one node; part of the checkpoint's file name.
    pub name: String,
    pub source: Source,
    /// Where the checkpoint lies; created if absent.
    pub state_dir: PathBuf,
    /// On the very first start only: whether files that exist are read from their first byte or their end.
    /// Files that appear later are always read from the beginning.
    pub from_beginning: bool,
    /// How often directories are looked at, besides whenever the kernel says that something changed.
    pub poll_interval: Duration,
    /// A longer line is cut into several records, counted.
    pub max_line_bytes: usize,
    pub max_batch_lines: usize,
    pub max_batch_bytes: usize,
    /// Files followed at the same time; further ones are counted and left alone.
    pub max_files: usize,
    /// How long a file that is gone or rotated away is watched for late lines.
    pub rotated_grace: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    Files {
        /// `*`, `?`, `[a-z]`, and `**` for any number of directories.
        paths: Vec<String>,
        exclude: Vec<String>,
        /// The `job` label.
        job: String,
        /// The `service_name` label; by default the file's name without extension.
        service_name: Option<String>,
    },
    Pods {
        /// Usually `/var/log/pods`: `<namespace>_<pod>_<uid>/<container>/<restart>.log`.
        root: PathBuf,
        exclude: Vec<String>,
    },
}

impl Options {
    pub fn new(name: impl Into<String>, source: Source, state_dir: impl Into<PathBuf>) -> Self {
        Options {
            name: name.into(),
            source,
            state_dir: state_dir.into(),
            from_beginning: false,
            poll_interval: Duration::from_secs(1),
            max_line_bytes: 1 << 20,
            max_batch_lines: 2000,
            max_batch_bytes: 1 << 20,
            max_files: 2048,
            rotated_grace: Duration::from_secs(10),
        }
    }
}

/// Starts following. Everything that can fail is retried and counted, never fatal.
pub fn start(context: &Context, options: Options) {
    let context = context.clone();
    context.shutdown.clone().spawn(runner::run(context, options));
}

#[cfg(test)]
mod tests;
