//! Operators that make one row of one series, whatever the others are: selectors, window functions, and what maps
//! their values. Their work is cut into blocks of series, spread over cores, and taken in order.

use std::time::{Duration, Instant};

use eval::{Column, Env, LabelSet, Meter, Notes, Series, Span, parallel};
use model::Labels;

use super::{Result, Run, tally::Tally};
use crate::{Error, ast::NodeId};

/// Cells one block computes: enough that handing it over costs nothing beside it, few enough that all cores have
/// something to do.
const CELLS_PER_BLOCK: usize = 1 << 16;

/// What a thread has for itself while it works on a block.
pub(super) struct Worker {
    pub meter: Meter,
    pub notes: Notes,
    pub tally: Tally,
    delay: bool,
}

impl Worker {
    pub fn env(&mut self, span: &Span) -> Env<'_> {
        Env {
            meter: &mut self.meter,
            notes: &mut self.notes,
            span: span.clone(),
            delay_name_removal: self.delay,
        }
    }
}

/// Makes the `i`-th row.
pub(super) type Make<'a> = Box<dyn Fn(usize, &mut Worker) -> Result<Option<Column>> + Sync + 'a>;

pub(super) struct Job<'a> {
    pub id: NodeId,
    /// Labels of each row, and whether its name is to be dropped at the end of the query.
    pub labels: Vec<(Labels, bool)>,
    pub steps: usize,
    /// Cells of work in all, roughly.
    pub cells: usize,
    pub make: Make<'a>,
    /// Bytes charged for what `make` reads, to be released at the end.
    pub held: usize,
}

/// Rows made by one thread at one time.
struct Block {
    rows: Vec<Option<Column>>,
    notes: Notes,
    tally: Tally,
    busy: Duration,
}

impl Job<'_> {
    /// Whether two rows have equal labels, so that they would have to be made one.
    pub fn has_equals(&self) -> bool {
        let mut seen = LabelSet::with_capacity_and_hasher(self.labels.len(), Default::default());
        self.labels.len() > 1 && !self.labels.iter().all(|(l, _)| seen.insert(l))
    }

    /// Series in one block.
    fn block_len(&self) -> usize {
        let each = (self.cells / self.labels.len().max(1)).max(self.steps).max(1);
        (CELLS_PER_BLOCK / each).clamp(1, 512)
    }
}

impl<'a> Run<'a> {
    /// Does a job; `take` gets every row in order, with nothing where a series has no value at any step. The rows'
    /// bytes are charged until `take` returns.
    pub(super) fn work(
        &mut self,
        mut job: Job<'a>,
        mut take: impl FnMut(usize, Option<Series>, &mut Self) -> Result<()>,
    ) -> Result<()> {
        let len = job.block_len();
        let mut labels = std::mem::take(&mut job.labels);
        let (count, held, id) = (labels.len(), job.held, job.id);
        let base = self.meter.fork();
        let (delay, per_step) = (self.options.delayed_name_removal, self.tally.per_step.len());
        let make = |block: usize| -> Result<Block> {
            let began = Instant::now();
            let tally = Tally::new(Some(per_step));
            let mut worker = Worker { meter: base.fork(), notes: Notes::default(), tally, delay };
            worker.meter.check_deadline()?;
            let mut rows = Vec::with_capacity(len);
            for i in block * len..((block + 1) * len).min(count) {
                worker.meter.work(job.steps)?;
                let column = (job.make)(i, &mut worker)?.filter(|c| !c.is_empty());
                if let Some(c) = &column {
                    worker.meter.charge(c.heap_bytes())?;
                }
                rows.push(column);
            }
            Ok(Block { rows, notes: worker.notes, tally: worker.tally, busy: began.elapsed() })
        };
        let mut at = 0;
        let mut busy = Duration::ZERO;
        let mut seen = (0u64, 0u64);
        parallel::ordered(count.div_ceil(len), job.cells, make, |block: Block| {
            self.notes.merge(block.notes);
            self.tally.merge(&block.tally);
            busy += block.busy;
            for column in block.rows {
                let (labels, drop_name) = std::mem::take(&mut labels[at]);
                let row = column.map(|column| Series { labels, column, drop_name });
                let bytes = row.as_ref().map_or(0, |r| r.column.heap_bytes());
                seen = (seen.0 + u64::from(row.is_some()), seen.1 + bytes as u64);
                take(at, row, self)?;
                self.meter.release(bytes);
                at += 1;
            }
            Ok(())
        })?;
        self.meter.release(held);
        self.profile.job(id, busy, seen.0, seen.1);
        Ok(())
    }

    /// All rows of a job, charged.
    pub(super) fn collect(&mut self, job: Job<'a>) -> Result<Vec<Series>> {
        let mut rows = Vec::new();
        let mut points = 0u64;
        self.work(job, |_, row, run| {
            let Some(row) = row else { return Ok(()) };
            points += row.column.len() as u64;
            run.check_points(points)?;
            run.meter.charge(row.heap_bytes())?;
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The same limit as for samples read: results may be wider than what they came from.
    pub(super) fn check_points(&self, points: u64) -> Result<()> {
        if points <= self.max_samples {
            return Ok(());
        }
        Err(Error::Limit(
            format!(
                "query.max_samples of {} is reached: an intermediate result has {points} points",
                self.max_samples
            ),
            "query.max_samples",
        ))
    }
}
