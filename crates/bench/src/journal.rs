//! What a counting run sent and what of it was acknowledged, so that a verification can ask for it later.
//!
//! ```text
//! orrery-bench-journal 1 {"run":"r18…","signal":"logs","protocol":"loki","target":"http://…","tenant":null}
//! sent <worker> <first number> <count> <first time ns> <last time ns>     before the first attempt
//! ack <worker> <first number>                                            after the acknowledgement
//! ```
//! Every line is handed to the kernel before the sender goes on: the receiver may be killed at any moment, and
//! the bench too. A last line without a line feed was cut and does not count.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{Error, Protocol, Result, Signal, generate::Numbered};

const MAGIC: &str = "orrery-bench-journal 1 ";
/// Journals larger than this are refused when read: some 40 million batches.
const MAX_BYTES: u64 = 2 << 30;

/// What a run was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub run: String,
    pub signal: Signal,
    pub protocol: Protocol,
    pub target: String,
    pub tenant: Option<String>,
}

/// One batch of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub worker: usize,
    pub first: u64,
    pub count: u64,
    pub from_ns: i64,
    pub to_ns: i64,
    pub acknowledged: bool,
}

/// A journal being written.
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Begins a journal; an old file of that name is replaced.
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        let fail = |source| Error::Journal { doing: "creating", path: path.to_owned(), source };
        let mut file = File::create(path).map_err(fail)?;
        let header = serde_json::to_string(header).map_err(|e| fail(e.into()))?;
        file.write_all(format!("{MAGIC}{header}\n").as_bytes()).map_err(fail)?;
        Ok(Journal { path: path.to_owned(), file: Mutex::new(file) })
    }

    pub fn sent(&self, worker: usize, n: &Numbered) -> Result<()> {
        self.line(&format!("sent {worker} {} {} {} {}\n", n.first, n.items, n.from_ns, n.to_ns))
    }

    pub fn acknowledged(&self, worker: usize, first: u64) -> Result<()> {
        self.line(&format!("ack {worker} {first}\n"))
    }

    fn line(&self, line: &str) -> Result<()> {
        let fail = |source| Error::Journal { doing: "writing", path: self.path.clone(), source };
        self.file.lock().write_all(line.as_bytes()).map_err(fail)
    }
}

/// Reads a journal: its header and the batches in the order of worker and number.
pub fn read(path: &Path) -> Result<(Header, Vec<Sent>)> {
    let fail = |source| Error::Journal { doing: "reading", path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(fail)?.take(MAX_BYTES).read_to_string(&mut text).map_err(fail)?;
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
    let mut lines = whole.split('\n').enumerate();
    let bad = |line: usize, text: &str| Error::JournalLine {
        path: path.to_owned(),
        line: line + 1,
        text: text.chars().take(80).collect(),
    };
    let (_, first) = lines.next().unwrap_or((0, ""));
    let header = first.strip_prefix(MAGIC).and_then(|h| serde_json::from_str::<Header>(h).ok());
    let header = header.ok_or_else(|| bad(0, first))?;
    let mut batches = std::collections::BTreeMap::new();
    for (i, line) in lines {
        entry(line, &mut batches).ok_or_else(|| bad(i, line))?;
    }
    Ok((header, batches.into_values().collect()))
}

fn entry(line: &str, batches: &mut std::collections::BTreeMap<(usize, u64), Sent>) -> Option<()> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let (worker, first) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    match kind {
        "sent" => {
            let (count, from_ns) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let to_ns = words.next()?.parse().ok()?;
            let sent = Sent { worker, first, count, from_ns, to_ns, acknowledged: false };
            batches.entry((worker, first)).or_insert(sent);
        }
        "ack" => batches.get_mut(&(worker, first))?.acknowledged = true,
        _ => return None,
    }
    words.next().is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use model::{Batch, MetricBatch};

    use super::*;

    fn numbered(first: u64) -> Numbered {
        Numbered { batch: Batch::Metrics(MetricBatch::default()), items: 10, first, from_ns: 1, to_ns: 2 }
    }

    #[test]
    fn a_journal_is_read_back_and_a_cut_last_line_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let header = Header {
            run: "r1".into(),
            signal: Signal::Logs,
            protocol: Protocol::Loki,
            target: "http://x".into(),
            tenant: Some("a b".into()),
        };
        let j = Journal::create(&path, &header).unwrap();
        j.sent(0, &numbered(0)).unwrap();
        j.sent(1, &numbered(0)).unwrap();
        j.acknowledged(0, 0).unwrap();
        j.sent(0, &numbered(10)).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("ack 1 0");
        std::fs::write(&path, &text).unwrap();
        let (h, sent) = read(&path).unwrap();
        assert_eq!(h, header);
        let seen: Vec<_> = sent.iter().map(|s| (s.worker, s.first, s.acknowledged)).collect();
        assert_eq!(seen, [(0, 0, true), (0, 10, false), (1, 0, false)]);
        std::fs::write(&path, text.replace("sent 1", "what 1") + "\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 3"));
    }
}
