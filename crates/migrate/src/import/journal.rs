//! What has arrived, so that the next run goes on there.
//!
//! ```text
//! {"format": 1,
//!  "of": "to http://127.0.0.1:9494, tenant …, batch …",   which import this is
//!  "sources": ["01H…"],                            blocks of scraped samples that have arrived whole
//!  "block": "01H…", "at": {slice_ms, series, skip},   the one under way, and the first point not noted yet
//!  "samples": 123}
//! ```
//! Replaced as a whole by rename. A journal that is lost costs time, never samples: all is sent again.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tsdb::Meta;

use super::Options;
use crate::{Error, Result};

const FORMAT: u32 = 1;

/// A point inside a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// `i64::MIN`: the beginning.
    pub(super) slice_ms: i64,
    pub(super) series: usize,
    /// Points of the series that went before.
    pub(super) skip: usize,
}

impl Default for Place {
    fn default() -> Self {
        Place { slice_ms: i64::MIN, series: 0, skip: 0 }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Written {
    format: u32,
    of: String,
    /// A compacted block names the blocks it began as; it has arrived when they have.
    sources: BTreeSet<String>,
    #[serde(default)]
    block: String,
    #[serde(default)]
    at: Place,
    #[serde(default)]
    samples: u64,
}

pub(super) struct Journal {
    path: PathBuf,
    written: Written,
    changed: bool,
}

/// Everything that decides what is sent where.
pub(super) fn belongs_to(o: &Options) -> String {
    let labels: Vec<String> = o.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
    let bound = |ms: i64| match ms {
        i64::MIN | i64::MAX => "any".to_owned(),
        ms => format!("{ms} ms"),
    };
    format!(
        "to {}, tenant {}, labels {{{}}}, since {}, until {}, batch {}",
        o.target.shown(),
        o.tenant.as_deref().unwrap_or("default"),
        labels.join(","),
        bound(o.from_ms),
        bound(o.to_ms),
        o.batch
    )
}

impl Journal {
    pub(super) fn open(path: &Path, of: &str) -> Result<Self> {
        let written = match fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Written { format: FORMAT, of: of.to_owned(), ..Written::default() }
            }
            Err(e) => return Err(Error::file("reading the journal", path)(e)),
            Ok(text) => {
                let bad = |what: String| Error::Written { path: path.to_owned(), what };
                let w: Written = serde_json::from_slice(&text).map_err(|e| {
                    bad(format!("it is no journal of an import ({e}); remove it to begin anew"))
                })?;
                if w.format != FORMAT {
                    let what = format!("journal format {} is not known, only {FORMAT} is", w.format);
                    return Err(bad(what));
                }
                let noted = w.samples > 0 || !w.sources.is_empty();
                if w.of != of && noted {
                    let what = format!(
                        "this journal belongs to another import ({}), this one goes {of}: repeat the same options, name another \
                         journal with --journal, or remove it to send everything (what is there already is not doubled)",
                        w.of
                    );
                    return Err(bad(what));
                }
                // One that notes nothing is left of a try that never got through, perhaps to a wrong address.
                if noted { w } else { Written { format: FORMAT, of: of.to_owned(), ..Written::default() } }
            }
        };
        let journal = Journal { path: path.to_owned(), written, changed: true };
        // Said before hours of work rather than after them.
        let mut journal = journal;
        journal.save()?;
        Ok(journal)
    }

    /// Whether the block has arrived whole, by itself or as the blocks it was made of.
    pub(super) fn knows(&self, meta: &Meta) -> bool {
        names(meta).iter().all(|n| self.written.sources.contains(*n))
    }

    /// Where to begin in a block.
    pub(super) fn place_in(&mut self, ulid: &str) -> Place {
        if self.written.block != ulid {
            self.written.block = ulid.to_owned();
            self.written.at = Place::default();
        }
        self.written.at
    }

    pub(super) fn arrived(&mut self, next: Place, samples: u64) {
        self.written.at = next;
        self.written.samples += samples;
        self.changed = true;
    }

    pub(super) fn finish(&mut self, meta: &Meta) -> Result<()> {
        self.written.sources.extend(names(meta).into_iter().map(str::to_owned));
        self.written.block.clear();
        self.written.at = Place::default();
        self.changed = true;
        self.save()
    }

    pub(super) fn save(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&self.written)
            .map_err(|e| Error::Internal(format!("writing the journal: {e}")))?;
        let part = self.path.with_extension("part");
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&part)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&part, &self.path)
        };
        write().map_err(Error::file("writing the journal", &self.path))
    }
}

fn names(meta: &Meta) -> Vec<&str> {
    match meta.compaction.sources.as_slice() {
        [] => vec![meta.ulid.as_str()],
        sources => sources.iter().map(String::as_str).collect(),
    }
}
