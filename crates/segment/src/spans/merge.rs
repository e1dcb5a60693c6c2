//! Several segments into one, some thousand spans of them in memory at a time.
//!
//! Every trace belongs to the segment in which it begins first, and traces come in the order of their beginnings, as in
//! any segment. What a segment has of its own traces therefore comes in the order of its rows, and is read from its
//! beginning to its end once. What others have of them, as late spans are, is looked up by row for some thousand spans at
//! a time; it stands behind the trace's own rows.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    ops::Range,
    sync::Arc,
};

use arrow::datatypes::TimestampNanosecondType;
use contract::SpanParts;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use model::{Span, span::SpanOrigin};

use super::{Reader, WriteOptions, decode, directory::TraceId, reader::Inner, tables, writer::Writer};
use crate::{
    Error, Result, Written,
    arrays::{at, primitive},
    attrs,
    logs::decode::Ids,
    rows::Rows,
};

/// Spans handed to the encoder at once.
const CHUNK: usize = 8 << 10;
/// Rows of which trace and start are read together.
const LOOK_ROWS: usize = 16 << 10;

/// Writes what segments hold as one. Encoding is done on blocking threads. `None` where they hold nothing.
pub async fn merge(inputs: Vec<Reader>, options: &WriteOptions) -> Result<Option<Written>> {
    let mut tables = Vec::with_capacity(inputs.len());
    for reader in &inputs {
        tables.push(reader.0.origins().await?);
    }
    let lists: Vec<&[SpanOrigin]> = tables.iter().map(|t| t.as_slice()).collect();
    let (origins, numbers) = tables::merge(&lists, |_, _| true)?;
    let plans = inputs.iter().map(|r| (&r.0.layout.attributes, r.info().rows as usize));
    let expected_bytes = inputs.iter().map(|r| r.info().bytes as usize).sum();
    let writer = Writer::new(attrs::Plan::merged(plans), origins.into(), expected_bytes)?;
    let mut held = Vec::with_capacity(inputs.len());
    for reader in &inputs {
        held.push(traces(&reader.0).await?);
    }
    let Shared { own, late } = Shared::of(&held);
    drop(held);
    let mut sources = Vec::with_capacity(inputs.len());
    for ((reader, numbers), own) in inputs.iter().zip(numbers).zip(own) {
        sources.push(Source::new(reader.0.clone(), numbers, own)?);
    }
    run(sources, late, writer, options).await
}

/// A trace in one segment.
#[derive(Debug, Clone)]
struct Held {
    id: TraceId,
    began: i64,
    rows: Range<usize>,
}

/// The traces of a segment in the order of its rows.
async fn traces(inner: &Inner) -> Result<Vec<Held>> {
    let columns = inner.indexes(["trace_id", "start"])?;
    let groups = (0..inner.file.row_groups().len()).collect();
    let mut batches = inner.file.stream(groups, columns, None, LOOK_ROWS)?;
    let mut out: Vec<Held> = Vec::new();
    let mut first = 0;
    while let Some(batch) = batches.try_next().await.map_err(|e| inner.file.source.parquet_error(e))? {
        let ids = Ids::<16>::of(&inner.file, &batch, "trace_id")?;
        let starts = primitive::<TimestampNanosecondType>(&inner.file, &batch, "start")?;
        for row in 0..batch.num_rows() {
            let (id, n) = (ids.get(row), first + row);
            let began = at(starts, row).ok_or_else(|| inner.file.corrupt("a start of each span"))?;
            match out.last_mut().filter(|t| t.id == id) {
                Some(trace) => (trace.began, trace.rows.end) = (trace.began.min(began), n + 1),
                None => out.push(Held { id, began, rows: n..n + 1 }),
            }
        }
        first += batch.num_rows();
        tokio::task::yield_now().await;
    }
    Ok(out)
}

/// Rows in other segments than the trace's own, by their numbers.
type Elsewhere = Vec<(usize, Range<usize>)>;
type Late = HashMap<TraceId, Elsewhere>;

/// Who owns which trace.
struct Shared {
    /// Of each segment, in the order of its rows.
    own: Vec<Vec<Held>>,
    late: Late,
}

impl Shared {
    fn of(held: &[Vec<Held>]) -> Self {
        let mut owners: HashMap<TraceId, (i64, usize)> = HashMap::new();
        for (i, traces) in held.iter().enumerate() {
            for t in traces {
                owners
                    .entry(t.id)
                    .and_modify(|owner| *owner = (*owner).min((t.began, i)))
                    .or_insert((t.began, i));
            }
        }
        let mut late = Late::new();
        let mut own = Vec::with_capacity(held.len());
        for (i, traces) in held.iter().enumerate() {
            let mut mine: Vec<Held> = Vec::with_capacity(traces.len());
            for t in traces {
                if owners.get(&t.id).is_some_and(|(_, owner)| *owner == i) {
                    mine.push(t.clone());
                } else {
                    late.entry(t.id).or_default().push((i, t.rows.clone()));
                }
            }
            own.push(mine);
        }
        Shared { own, late }
    }
}

type Spans = BoxStream<'static, Result<Vec<Span>>>;

/// A segment being read.
struct Source {
    inner: Arc<Inner>,
    /// The number that each of its origins has among all.
    numbers: Vec<Option<u32>>,
    own: std::iter::Peekable<std::vec::IntoIter<Held>>,
    scan: Spans,
    spans: std::vec::IntoIter<Span>,
}

impl Source {
    fn new(inner: Arc<Inner>, numbers: Vec<Option<u32>>, own: Vec<Held>) -> Result<Self> {
        let rows = Rows::from_ranges(own.iter().map(|t| t.rows.clone()));
        let scan = rows_of(&inner, &rows)?;
        Ok(Source { inner, numbers, own: own.into_iter().peekable(), scan, spans: Vec::new().into_iter() })
    }

    fn next_key(&mut self) -> Option<(i64, TraceId)> {
        self.own.peek().map(|t| (t.began, t.id))
    }

    /// The next of its own spans, by the number of its origin among all.
    async fn next(&mut self) -> Result<(u32, Span)> {
        loop {
            if let Some(span) = self.spans.next() {
                return Ok((self.number(&span)?, span));
            }
            match self.scan.try_next().await? {
                Some(spans) => self.spans = spans.into_iter(),
                None => return Err(self.inner.file.corrupt("as many rows as there are")),
            }
        }
    }

    fn number(&self, span: &Span) -> Result<u32> {
        let number = self.numbers.get(span.origin as usize).copied().flatten();
        number.ok_or_else(|| self.inner.file.corrupt(format!("origin {} in the table", span.origin)))
    }
}

/// Some rows of a segment, a piece at a time, in the order of the file.
fn rows_of(inner: &Arc<Inner>, rows: &Rows) -> Result<Spans> {
    let wanted = SpanParts::everything();
    let columns = inner.span_indexes(&wanted)?;
    let (mut numbers, mut inside, mut before) = (Vec::new(), Vec::new(), 0);
    for (group, first, total) in inner.groups() {
        let own = rows.clipped(first..first + total);
        let from = inside.len();
        inside.extend(own.map(|r| r.start - first + before..r.end - first + before));
        if inside.len() > from {
            numbers.push(group);
            before += total;
        }
    }
    let selection = Rows::from_ranges(inside).selection(before);
    let batches = inner.file.stream(numbers, columns, Some(selection), CHUNK / 4)?;
    let inner = inner.clone();
    let spans = batches.map(move |batch| {
        let batch = batch.map_err(|e| inner.file.source.parquet_error(e))?;
        decode::spans(&inner.file, &inner.layout, &batch, &wanted)
    });
    Ok(spans.boxed())
}

type Chunk = Vec<(u32, Span)>;

async fn run(
    mut sources: Vec<Source>,
    mut late: Late,
    mut writer: Writer,
    options: &WriteOptions,
) -> Result<Option<Written>> {
    let mut next = BinaryHeap::with_capacity(sources.len());
    for (i, source) in sources.iter_mut().enumerate() {
        next.extend(source.next_key().map(|key| Reverse((key, i))));
    }
    let mut chunk = Chunk::with_capacity(CHUNK);
    loop {
        // Traces of one round, by whom they belong to, and how many of their rows are elsewhere.
        let (mut round, mut rows) = (Vec::new(), 0);
        while rows < CHUNK
            && let Some(Reverse((_, i))) = next.pop()
        {
            let Some(source) = sources.get_mut(i) else { continue };
            let Some(trace) = source.own.next() else { continue };
            let more = late.remove(&trace.id).unwrap_or_default();
            rows += trace.rows.len() + more.iter().map(|(_, r)| r.len()).sum::<usize>();
            round.push((i, trace.rows.len(), more));
            next.extend(source.next_key().map(|key| Reverse((key, i))));
        }
        if round.is_empty() {
            break;
        }
        let mut looked_up = LookedUp::start(&sources, &round)?;
        for (i, own, more) in round {
            for _ in 0..own {
                if let Some(source) = sources.get_mut(i) {
                    chunk.push(source.next().await?);
                }
                if chunk.len() >= CHUNK {
                    (writer, chunk) = encode(writer, chunk).await?;
                }
            }
            for (i, rows) in more {
                for _ in rows {
                    let Some(span) = looked_up.next(i).await? else { continue };
                    if let Some(source) = sources.get(i) {
                        chunk.push((source.number(&span)?, span));
                    }
                    if chunk.len() >= CHUNK {
                        (writer, chunk) = encode(writer, chunk).await?;
                    }
                }
            }
        }
    }
    let options = *options;
    let (writer, _) = encode(writer, chunk).await?;
    blocking(move || if writer.is_empty() { Ok(None) } else { writer.finish(&options).map(Some) }).await
}

/// Rows of a round that lie in other segments than the trace's own.
struct LookedUp(Vec<Option<Wanted>>);

/// Rows of one segment, in the order of the file, some of which are wanted before others.
struct Wanted {
    scan: Spans,
    spans: std::vec::IntoIter<Span>,
    /// Of each span of the scan, its place among those wanted; ascending where nothing has to be kept.
    places: std::vec::IntoIter<usize>,
    kept: HashMap<usize, Span>,
    given: usize,
}

impl LookedUp {
    fn start(sources: &[Source], round: &[(usize, usize, Elsewhere)]) -> Result<Self> {
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); sources.len()];
        for (i, range) in round.iter().flat_map(|(_, _, more)| more) {
            if let Some(own) = rows.get_mut(*i) {
                own.extend(range.clone());
            }
        }
        let one = |(source, rows): (&Source, Vec<usize>)| {
            if rows.is_empty() {
                return Ok(None);
            }
            let mut order: Vec<(usize, usize)> =
                rows.into_iter().enumerate().map(|(place, row)| (row, place)).collect();
            order.sort_unstable();
            let rows = Rows::from_ranges(order.iter().map(|(r, _)| *r..*r + 1));
            let scan = rows_of(&source.inner, &rows)?;
            let places = order.into_iter().map(|(_, place)| place).collect::<Vec<_>>().into_iter();
            let spans = Vec::new().into_iter();
            Ok(Some(Wanted { scan, spans, places, kept: HashMap::new(), given: 0 }))
        };
        Ok(LookedUp(sources.iter().zip(rows).map(one).collect::<Result<_>>()?))
    }

    /// The next wanted span of a segment.
    async fn next(&mut self, source: usize) -> Result<Option<Span>> {
        let Some(Some(of)) = self.0.get_mut(source) else { return Ok(None) };
        let wanted = of.given;
        of.given += 1;
        loop {
            if let Some(span) = of.kept.remove(&wanted) {
                return Ok(Some(span));
            }
            match of.spans.next() {
                Some(span) => _ = of.places.next().and_then(|place| of.kept.insert(place, span)),
                None => match of.scan.try_next().await? {
                    Some(spans) => of.spans = spans.into_iter(),
                    None => return Ok(None),
                },
            }
        }
    }
}

async fn encode(mut writer: Writer, mut chunk: Chunk) -> Result<(Writer, Chunk)> {
    blocking(move || {
        for (origin, span) in chunk.drain(..) {
            writer.push(origin, &span)?;
        }
        Ok((writer, chunk))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Encode(e.to_string())))
}

/// Everything in file order.
#[cfg(test)]
pub(super) fn scan(reader: &Reader) -> Result<BoxStream<'static, Result<model::SpanBatch>>> {
    let inner = reader.0.clone();
    let rows = Rows::from_ranges(inner.groups().map(|(_, first, total)| first..first + total));
    let spans = rows_of(&inner, &rows)?;
    let batch = move |spans: Vec<Span>| {
        let inner = inner.clone();
        async move { inner.batch(&inner.origins().await?, spans) }
    };
    Ok(spans.and_then(batch).boxed())
}
