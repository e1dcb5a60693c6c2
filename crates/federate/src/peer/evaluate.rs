//! Queries that are evaluated where the data is: request and answer as messages and back.

use base::{
    Kind,
    memory::{Reservation, Use},
};
use contract::{
    Annotation, Dialect, Error, EvaluateRequest, Evaluated, EvaluatedSeries, Language, Passing, QueryLimits,
    Result,
};
use model::{Batch, MetricBatch, metric::HistogramSample};
use proto::{Message, peer as pb};

use super::{
    MAX_MESSAGE_BYTES, PART_BYTES,
    convert::{limit_from, limit_to, scope_from, scope_to},
    pack::{self, Parts},
    unpack,
};

/// Bytes of a query that are read; what people write is a thousandth of it.
const MAX_QUERY_BYTES: usize = 1 << 20;
/// Warnings and notes of one answer that are read.
const MAX_ANNOTATIONS: usize = 10_000;
/// Labels to be taken off that are read: one for each node with replicas on the way.
const MAX_UNMARKED: usize = 100;
/// Fields looked up for one request at most.
const MAX_FIELDS: usize = 16;

const LANGUAGES: [(Language, &str); 2] = [(Language::PromQl, "promql"), (Language::LogQl, "logql")];

pub(super) fn dialect_to(d: &Dialect) -> pb::Dialect {
    let name = LANGUAGES.iter().find(|(l, _)| *l == d.language).map_or("", |(_, name)| *name);
    pb::Dialect { language: name.to_owned(), version: d.version }
}

/// `None` for a language that this version does not know.
pub(super) fn dialect_from(d: &pb::Dialect) -> Option<Dialect> {
    let (language, _) = LANGUAGES.iter().find(|(_, name)| *name == d.language)?;
    Some(Dialect { language: *language, version: d.version })
}

pub(super) fn passing_to(p: Passing) -> pb::Passing {
    pb::Passing {
        dialect: Some(dialect_to(&p.dialect)),
        query: p.query,
        limit: limit_to(p.limit),
        unmarked: pairs_to(p.unmarked),
    }
}

pub(super) fn pairs_to(pairs: Vec<(String, String)>) -> Vec<pb::Label> {
    pairs.into_iter().map(|(name, value)| pb::Label { name, value }).collect()
}

/// Of fields that all must be there some are enough.
pub(super) fn fields_from(fields: Vec<pb::Label>) -> Vec<(String, String)> {
    fields.into_iter().take(MAX_FIELDS).map(|l| (l.name, l.value)).collect()
}

/// `None` where it is beyond this version: it says what may be left out, not what must be.
pub(super) fn passing_from(p: pb::Passing) -> Option<Passing> {
    let dialect = p.dialect.as_ref().and_then(dialect_from)?;
    let fits = p.query.len() <= MAX_QUERY_BYTES && p.unmarked.len() <= MAX_UNMARKED;
    fits.then(|| Passing {
        dialect,
        query: p.query,
        limit: limit_from(p.limit),
        unmarked: p.unmarked.into_iter().map(|l| (l.name, l.value)).collect(),
    })
}

pub(super) fn request_to(r: EvaluateRequest) -> pb::EvaluateRequest {
    pb::EvaluateRequest {
        scope: Some(scope_to(&r.scope)),
        dialect: Some(dialect_to(&r.dialect)),
        query: r.query,
        start_ms: r.start_ms,
        end_ms: r.end_ms,
        step_ms: r.step_ms,
        lookback_ms: r.lookback_ms,
        features: r.features,
        pieces: r.pieces,
        per_step_stats: r.per_step_stats,
    }
}

pub(super) fn request_from(r: pb::EvaluateRequest, own: &QueryLimits) -> Result<EvaluateRequest> {
    let dialect = r.dialect.as_ref().and_then(dialect_from);
    let dialect = dialect.ok_or_else(|| {
        let language = r.dialect.map(|d| d.language).unwrap_or_default();
        Error::invalid(format!("queries in {language:?} are not evaluated here"))
    })?;
    if r.query.len() > MAX_QUERY_BYTES {
        let bytes = r.query.len();
        return Err(Error::invalid(format!("query has {bytes} bytes, at most {MAX_QUERY_BYTES} are read")));
    }
    if r.step_ms <= 0 {
        return Err(Error::invalid(format!("step_ms is {}, not above zero", r.step_ms)));
    }
    Ok(EvaluateRequest {
        scope: scope_from(r.scope, own)?,
        dialect,
        query: r.query,
        start_ms: r.start_ms,
        end_ms: r.end_ms,
        step_ms: r.step_ms,
        lookback_ms: r.lookback_ms,
        features: r.features,
        pieces: r.pieces,
        per_step_stats: r.per_step_stats,
    })
}

/// An answer as parts, without its end.
pub(super) fn pack(answer: Evaluated) -> Result<Parts> {
    let mut parts = Parts::new();
    let mut rows = PackRows::default();
    for row in answer.series {
        rows.push(row);
        if rows.bytes >= PART_BYTES {
            parts.push_back(std::mem::take(&mut rows).part()?);
        }
    }
    if !rows.pieces.is_empty() {
        parts.push_back(rows.part()?);
    }
    let annotation = |a: Annotation| pb::Annotation {
        message: a.message,
        start: a.start,
        end: a.end,
        occurrences: a.occurrences,
    };
    let summary = pb::Summary {
        warnings: answer.warnings.into_iter().map(annotation).collect(),
        infos: answer.infos.into_iter().map(annotation).collect(),
        series_read: answer.series_read,
        samples_read: answer.samples_read,
        samples_seen: answer.samples_seen,
        seen_per_step: answer.seen_per_step,
        bytes_read: answer.bytes_read,
    };
    parts.push_back(pb::Part { part: Some(pb::part::Part::Summary(summary)) });
    Ok(parts)
}

#[derive(Default)]
struct PackRows {
    batch: MetricBatch,
    pieces: Vec<u32>,
    drop_name: Vec<bool>,
    bytes: usize,
}

impl PackRows {
    fn push(&mut self, row: EvaluatedSeries) {
        let s = row.data;
        self.bytes += s.labels.packed_len() + 64 + s.values.len() * 16;
        let series = self.batch.push_series(s.labels);
        for (i, (t, v)) in s.timestamps_ms.iter().zip(&s.values).enumerate() {
            let start = s.starts_ms.get(i).copied().unwrap_or(0);
            self.batch.samples.push_started(series, *t, *v, start);
        }
        for (timestamp_ms, start_ms, histogram) in s.histograms {
            self.bytes += histogram.heap_bytes() + 24;
            self.batch.histograms.push(HistogramSample { series, timestamp_ms, start_ms, histogram });
        }
        self.pieces.push(u32::from(row.piece));
        self.drop_name.push(row.drop_name);
    }

    fn part(self) -> Result<pb::Part> {
        let unit = pack::encoded(&[Batch::Metrics(self.batch)])?;
        let rows = pb::Rows { unit, pieces: self.pieces, drop_name: self.drop_name };
        let bytes = rows.encoded_len();
        if bytes + 1024 > MAX_MESSAGE_BYTES {
            let message =
                format!("a row of {bytes} bytes is larger than the {MAX_MESSAGE_BYTES} a peer takes");
            return Err(Error::new(Kind::Limited, message));
        }
        Ok(pb::Part { part: Some(pb::part::Part::Rows(rows)) })
    }
}

/// An answer that comes in part by part, within the limits of its question.
pub(super) struct Unpacked {
    answer: Evaluated,
    samples: u64,
    max_samples: u64,
    held: Reservation,
}

impl Unpacked {
    pub(super) fn new(limits: &QueryLimits) -> Result<Self> {
        let held = limits.memory.reserve(Use::Query, 0)?;
        Ok(Unpacked { answer: Evaluated::default(), samples: 0, max_samples: limits.max_samples, held })
    }

    pub(super) fn rows(&mut self, rows: pb::Rows) -> Result<()> {
        self.answer.bytes_moved += rows.encoded_len() as u64;
        for row in read_rows(rows)? {
            let samples = row.data.sample_count() as u64;
            self.samples += samples;
            if self.samples > self.max_samples {
                let max = self.max_samples;
                let message = format!("the answer has more than query.max_samples ({max}) samples");
                return Err(Error::limited("query.max_samples", message));
            }
            self.held.grow(crate::rules::series_bytes(&row.data))?;
            self.answer.series.push(row);
        }
        Ok(())
    }

    pub(super) fn summary(&mut self, s: pb::Summary) -> Result<()> {
        if s.warnings.len().max(s.infos.len()) > MAX_ANNOTATIONS {
            let message = format!("the answer has more than {MAX_ANNOTATIONS} warnings");
            return Err(Error::new(Kind::Corrupt, message));
        }
        let annotation = |a: pb::Annotation| Annotation {
            message: a.message,
            start: a.start,
            end: a.end,
            occurrences: a.occurrences,
        };
        let out = &mut self.answer;
        out.bytes_moved +=
            (s.warnings.iter().chain(&s.infos).map(Message::encoded_len)).sum::<usize>() as u64;
        out.warnings.extend(s.warnings.into_iter().map(annotation));
        out.infos.extend(s.infos.into_iter().map(annotation));
        (out.series_read, out.samples_read) = (s.series_read, s.samples_read);
        (out.samples_seen, out.seen_per_step) = (s.samples_seen, s.seen_per_step);
        out.bytes_read = s.bytes_read;
        Ok(())
    }

    pub(super) fn whole(mut self, coverage: contract::Coverage) -> Evaluated {
        self.answer.coverage = coverage;
        self.answer
    }
}

/// The rows of one part. How many there are is checked, what they are is for whoever puts them together.
pub(super) fn read_rows(rows: pb::Rows) -> Result<Vec<EvaluatedSeries>> {
    let mut found = Vec::new();
    for batch in unpack::metrics(&rows.unit)? {
        found.extend(unpack::series(batch)?);
    }
    if found.len() != rows.pieces.len() || found.len() != rows.drop_name.len() {
        let (series, pieces, names) = (found.len(), rows.pieces.len(), rows.drop_name.len());
        let message = format!("the answer has {series} rows, {pieces} pieces and {names} names");
        return Err(Error::new(Kind::Corrupt, message));
    }
    let row = |((data, piece), drop_name): ((contract::SeriesData, u32), bool)| {
        let piece = u8::try_from(piece).map_err(|_| {
            Error::new(Kind::Corrupt, format!("the answer has piece {piece} of an aggregate"))
        })?;
        Ok(EvaluatedSeries { data, drop_name, piece })
    };
    found.into_iter().zip(rows.pieces).zip(rows.drop_name).map(row).collect()
}
