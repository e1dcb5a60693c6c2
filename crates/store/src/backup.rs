//! Backups of a store on a local directory, taken while its node runs or stands still, kept anywhere.
//!
//! ```text
//! <place>/backups/<time>.backup       what one backup holds                                      manifest
//! <place>/blobs/<hh>/<sha-256>        pieces of files, at most 16 MiB, shared by all backups      blobs
//! ```
//! A backup is a catalog version of every (tenant, signal), the objects these name, and the write-ahead log up
//! to a position behind all of them: exactly what was acknowledged by then ([`take`]). Every piece is named by
//! its hash, so a further backup stores what is new, [`verify`] proves each byte, and [`restore`] refuses a byte
//! that is not the one that was backed up.
//!
//! The source is read as files and nothing in it is written or locked, so the node need not take part.

mod blobs;
mod manifest;
mod place;
mod prune;
mod restore;
mod snapshot;
mod take;
mod verify;

pub use manifest::Summary;
pub use place::Place;
pub use prune::{Pruned, prune};
pub use restore::{MARKER, restore};
pub use snapshot::check;
pub use take::{Taken, take};
pub use verify::{Problem, Verified, verify};

/// How far a backup, a restore or a check is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub files: u64,
    pub of_files: u64,
    pub bytes: u64,
    pub of_bytes: u64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |b: u64| b as f64 / f64::from(1 << 20);
        let (files, of_files) = (self.files, self.of_files);
        write!(f, "{files} of {of_files} files, {:.1} of {:.1} MiB", mib(self.bytes), mib(self.of_bytes))
    }
}
