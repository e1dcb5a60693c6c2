//! What of the files counts, as JSON in `state.json`. It is replaced as a whole. Version rule: readers refuse versions they do
//! not know; fields may be added under the same number.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use model::BatchId;
use serde::{Deserialize, Serialize};

const NAME: &str = "state.json";
const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// By tenant and signal.
    pub(super) open: BTreeMap<String, Open>,
    /// By source: the last request that is in the files.
    lanes: BTreeMap<u64, Last>,
}

/// A file that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) number: u64,
    /// That count.
    pub(super) bytes: u64,
    /// When its first request was written.
    pub(super) since_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Last {
    epoch: u64,
    sequence: u64,
}

impl State {
    /// An empty one where there is none.
    pub(super) fn read(dir: &Path) -> io::Result<Self> {
        let bytes = match fs::read(dir.join(NAME)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(State { version: VERSION, open: BTreeMap::new(), lanes: BTreeMap::new() });
            }
            Err(e) => return Err(e),
        };
        let state: State = serde_json::from_slice(&bytes)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{NAME}: {e}")))?;
        if state.version != VERSION {
            let what = format!("{NAME} has version {}, this program reads version {VERSION}", state.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(state)
    }

    /// Durable on return.
    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        let temporary = dir.join("state.json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(NAME))?;
        File::open(dir)?.sync_all()
    }

    /// Requests of a lane are numbered in the order in which they are written.
    pub(super) fn knows(&self, id: BatchId) -> bool {
        let BatchId::Numbered { source, epoch, sequence } = id else { return false };
        self.lanes.get(&source).is_some_and(|l| l.epoch == epoch && sequence <= l.sequence)
    }

    pub(super) fn remember(&mut self, id: BatchId) {
        if let BatchId::Numbered { source, epoch, sequence } = id {
            self.lanes.insert(source, Last { epoch, sequence });
        }
    }
}
