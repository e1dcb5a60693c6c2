//! Our own encoding of an append unit: what the write-ahead log and queues hold. Bit-exact for every field of
//! the model, so a replay under a changed configuration reproduces exactly what was acknowledged.
//!
//! ```text
//! unit    := version u8 | string tenant | id | zigzag received_ns | varint n | n × batch
//! id      := 0 | 1, varint source, varint epoch, varint sequence | 2, 16 bytes little-endian
//! batch   := kind u8 (1 metrics, 2 logs, 3 spans) | varint length | body of that many bytes
//!
//! varint  := 7 bits a byte, low bits first, at most 10 bytes        (LEB128)
//! zigzag  := varint of (v << 1) ^ (v >> 63)
//! float   := varint of the byte-reversed IEEE bits: round numbers take 1 to 4 bytes
//! bytes   := varint length | bytes
//! string  := 0, bytes (UTF-8): written out, and from now on symbol number n, counting from 1 in the unit
//!          | n: the string that became symbol n             (used for what tends to repeat)
//! text    := bytes (UTF-8)                                  (used for what does not)
//! ```
//! Only strings of at most [`MAX_SYMBOL`] bytes become symbols. Longer ones are written as
//! `string := 1 + number of symbols so far, bytes`, so that a reference of two bytes never stands for a
//! megabyte and decoding takes memory in proportion to its input. The bodies are drawn in [`metrics`],
//! [`logs`], [`spans`] and [`values`].
//!
//! A unit of version 2 stands for itself. One of version 3 is a part of a log: the series of its metrics stand
//! apart from it, in a table that may refer to series of units before it ([`apart`]).
//!
//! There is no checksum: the frame around it has one. Version rule: byte 0 names the version; any change of
//! layout is a new number, and decoders keep every number that a release has written.

pub mod apart;
mod logs;
mod metrics;
mod reader;
mod spans;
mod values;
mod writer;

use model::{Batch, BatchId, TenantId};
use thiserror::Error;

use apart::{Apart, SeriesByNumber};
use reader::Reader;
use writer::Writer;

/// The newest version: of units whose series stand apart.
pub const VERSION: u8 = 3;

/// The version of units that stand for themselves.
const WHOLE: u8 = 2;

/// The first version, whose metrics wrote out the labels of each series ([`metrics`]); still read.
const FIRST: u8 = 1;

/// Longest string that is kept as a symbol.
pub const MAX_SYMBOL: usize = 128;

/// Deepest nesting of arrays and maps in one value.
pub const MAX_DEPTH: usize = 64;

const METRICS: u8 = 1;
const LOGS: u8 = 2;
const SPANS: u8 = 3;

/// Why a unit could not be encoded or decoded. Offsets count from the unit's first byte.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NativeError {
    #[error("encoded unit ends inside {what} at byte {offset}")]
    Truncated { what: &'static str, offset: usize },
    #[error("encoded unit has version {found}, this program reads version {VERSION}")]
    Version { found: u8 },
    #[error("encoded unit has a batch of kind {kind}, which this version does not know")]
    UnknownBatch { kind: String },
    #[error("{what} of the encoded unit at byte {offset} is not valid: {reason}")]
    Invalid { what: &'static str, offset: usize, reason: String },
    #[error("a value is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Only when encoding: the batch refers to something it does not hold.
    #[error("{what} {index} is named in the batch, which has {count}")]
    BadIndex { what: &'static str, index: u32, count: usize },
    /// Only when encoding: parallel arrays of different lengths.
    #[error("the batch has {values} sample values but {others} {what}")]
    UnevenColumns { what: &'static str, values: usize, others: usize },
    /// Only when encoding.
    #[error("a batch of {bytes} bytes is too large for a unit")]
    TooLarge { bytes: usize },
}

impl NativeError {
    pub fn kind(&self) -> base::Kind {
        match self {
            NativeError::TooDeep | NativeError::BadIndex { .. } | NativeError::UnevenColumns { .. } => {
                base::Kind::Invalid
            }
            NativeError::TooLarge { .. } => base::Kind::Limited,
            _ => base::Kind::Corrupt,
        }
    }
}

/// A decoded unit.
pub type Unit = (TenantId, Option<BatchId>, i64, Vec<Batch>);

/// Encodes one unit that stands for itself. An error means that the unit could not be read back: refuse it
/// before it is logged.
pub fn encode(
    tenant: &TenantId,
    batch_id: Option<BatchId>,
    received_ns: i64,
    batches: &[Batch],
) -> Result<Vec<u8>, NativeError> {
    encode_as(WHOLE, tenant, batch_id, received_ns, batches)
}

/// Encodes one unit without the series of its metrics batch, of which it has one at most. They are written with
/// [`apart::encode_table`] and read back together with [`decode_apart`].
pub fn encode_apart(
    tenant: &TenantId,
    batch_id: Option<BatchId>,
    received_ns: i64,
    batches: &[Batch],
) -> Result<Vec<u8>, NativeError> {
    encode_as(VERSION, tenant, batch_id, received_ns, batches)
}

fn encode_as(
    version: u8,
    tenant: &TenantId,
    batch_id: Option<BatchId>,
    received_ns: i64,
    batches: &[Batch],
) -> Result<Vec<u8>, NativeError> {
    let mut w = Writer::with_capacity(64 + batches.iter().map(expected_bytes).sum::<usize>());
    w.byte(version);
    w.string(tenant.as_str());
    match batch_id {
        None => w.byte(0),
        Some(BatchId::Numbered { source, epoch, sequence }) => {
            w.byte(1);
            w.varint(source);
            w.varint(epoch);
            w.varint(sequence);
        }
        Some(BatchId::Content(hash)) => {
            w.byte(2);
            w.raw(&hash.to_le_bytes());
        }
    }
    w.zigzag(received_ns);
    w.count(batches.len());
    for batch in batches {
        match batch {
            Batch::Metrics(b) if version == VERSION => {
                w.sized_in_place(METRICS, |w| metrics::encode_apart(w, b))?;
            }
            Batch::Metrics(b) => w.sized(METRICS, |w| metrics::encode(w, b))?,
            Batch::Logs(b) if version == VERSION => w.sized_in_place(LOGS, |w| logs::encode(w, b))?,
            Batch::Logs(b) => w.sized(LOGS, |w| logs::encode(w, b))?,
            Batch::Spans(b) => w.sized(SPANS, |w| spans::encode(w, b))?,
            other => return Err(NativeError::UnknownBatch { kind: other.signal().to_string() }),
        }
    }
    Ok(w.finish())
}

/// A guess at the encoded size, so that bytes are seldom moved while they grow.
fn expected_bytes(batch: &Batch) -> usize {
    match batch {
        Batch::Metrics(b) => 64 + b.samples.len() * 12 + b.series.len() * 8,
        Batch::Logs(b) => {
            // What is beside the text repeats mostly, and is a number then.
            let texts: usize = b.records.iter().filter_map(|r| r.body.as_str()).map(str::len).sum();
            512 + texts + b.records.len() * 24
        }
        other => other.heap_bytes() / 4,
    }
}

/// Decodes one unit that stands for itself. Takes memory in proportion to `bytes`, whatever they say.
pub fn decode(bytes: &[u8]) -> Result<Unit, NativeError> {
    if bytes.first() == Some(&VERSION) {
        let reason = "its series stand apart from it".to_owned();
        return Err(NativeError::Invalid { what: "version", offset: 0, reason });
    }
    Ok(decode_with(bytes, |_| Ok(Vec::new()))?.0)
}

/// Decodes one unit of a log, of any version, with the table of its series (empty where there is none). Units
/// must come in the order of the log; `known` is what the tables before defined.
pub fn decode_apart(bytes: &[u8], table: &[u8], known: &mut SeriesByNumber) -> Result<Apart, NativeError> {
    let mut missing = None;
    let mut read = |tenant: &TenantId| {
        let table = apart::decode_table(table, tenant, known)?;
        missing = table.missing;
        Ok(table.series)
    };
    let (unit, left) = decode_with(bytes, &mut read)?;
    if !left.is_empty() {
        let reason = format!("{} series have no batch", left.len());
        return Err(NativeError::Invalid { what: "series table", offset: 0, reason });
    }
    Ok(Apart { unit, missing })
}

/// The unit, and series that no batch took.
fn decode_with(
    bytes: &[u8],
    series: impl FnOnce(&TenantId) -> Result<Vec<model::Labels>, NativeError>,
) -> Result<(Unit, Vec<model::Labels>), NativeError> {
    let mut r = Reader::new(bytes);
    let found = r.byte("version")?;
    if !(FIRST..=VERSION).contains(&found) {
        return Err(NativeError::Version { found });
    }
    let tenant = r.string("tenant")?;
    let tenant = TenantId::new(tenant).map_err(|e| r.invalid("tenant", e.to_string()))?;
    let batch_id = match r.byte("batch id")? {
        0 => None,
        1 => Some(BatchId::Numbered {
            source: r.varint("batch source")?,
            epoch: r.varint("batch epoch")?,
            sequence: r.varint("batch sequence")?,
        }),
        2 => Some(BatchId::Content(u128::from_le_bytes(r.array("batch id")?))),
        other => return Err(r.invalid("batch id", format!("tag {other} is not known"))),
    };
    let received_ns = r.zigzag("time of receipt")?;
    let mut series = series(&tenant)?;
    let count = r.count("batches")?;
    let mut batches = Vec::new();
    for _ in 0..count {
        let kind = r.byte("batch kind")?;
        let end = r.begin_sized("batch")?;
        batches.push(match kind {
            METRICS if found == VERSION => {
                Batch::Metrics(metrics::decode_apart(&mut r, std::mem::take(&mut series))?)
            }
            METRICS => Batch::Metrics(metrics::decode(&mut r, found)?),
            LOGS => Batch::Logs(logs::decode(&mut r)?),
            SPANS => Batch::Spans(spans::decode(&mut r)?),
            other => return Err(NativeError::UnknownBatch { kind: other.to_string() }),
        });
        r.end_sized(end)?;
    }
    if !r.is_empty() {
        return Err(r.invalid("end", "bytes follow the last batch".to_owned()));
    }
    Ok(((tenant, batch_id, received_ns, batches), series))
}

#[cfg(test)]
mod tests;
