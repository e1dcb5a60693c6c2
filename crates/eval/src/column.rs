//! One series over all steps: a value or nothing at each step.
//!
//! Values lie in one array and presence in a bitmap, so that arithmetic runs over plain floats. Histograms are
//! rare and lie beside, shared by reference count because an instant selector repeats one sample over many steps.

use std::sync::Arc;

use model::{Histogram, Labels};

/// The value at one step.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

/// A value that was computed.
#[derive(Debug, Clone)]
pub enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl From<Histogram> for Value {
    fn from(h: Histogram) -> Self {
        Value::Histogram(Arc::new(h))
    }
}

/// One value or nothing per step.
#[derive(Debug, Clone, Default)]
pub struct Column {
    floats: Vec<f64>,
    present: Vec<u64>,
    /// Empty, or one entry per step.
    histograms: Vec<Option<Arc<Histogram>>>,
}

impl Column {
    /// Nothing at any of `steps` steps.
    pub fn empty(steps: usize) -> Self {
        Column { floats: vec![0.0; steps], present: vec![0; steps.div_ceil(64)], histograms: Vec::new() }
    }

    /// The same float at every step.
    pub fn constant(value: f64, steps: usize) -> Self {
        Self::from_floats(vec![value; steps])
    }

    /// A float at every step.
    pub fn from_floats(floats: Vec<f64>) -> Self {
        let n = floats.len();
        let mut present = vec![u64::MAX; n.div_ceil(64)];
        if let Some(last) = present.last_mut()
            && !n.is_multiple_of(64)
        {
            *last = (1 << (n % 64)) - 1;
        }
        Column { floats, present, histograms: Vec::new() }
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.floats.len()
    }

    /// Whether no step has a value.
    pub fn is_empty(&self) -> bool {
        self.present.iter().all(|w| *w == 0)
    }

    /// Number of steps with a value.
    pub fn count(&self) -> usize {
        self.present.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Number of steps with a histogram.
    pub fn histogram_count(&self) -> usize {
        self.histograms.iter().flatten().count()
    }

    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    pub fn is_present(&self, step: usize) -> bool {
        self.present.get(step / 64).is_some_and(|w| w >> (step % 64) & 1 == 1)
    }

    pub fn get(&self, step: usize) -> Option<Cell<'_>> {
        if !self.is_present(step) {
            return None;
        }
        match self.histograms.get(step) {
            Some(Some(h)) => Some(Cell::Histogram(h)),
            _ => self.floats.get(step).map(|v| Cell::Float(*v)),
        }
    }

    /// The float at a step; nothing where there is none or a histogram.
    pub fn float(&self, step: usize) -> Option<f64> {
        match self.get(step) {
            Some(Cell::Float(v)) => Some(v),
            _ => None,
        }
    }

    pub fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        match self.get(step) {
            Some(Cell::Histogram(h)) => Some(h),
            _ => None,
        }
    }

    pub fn set_float(&mut self, step: usize, value: f64) {
        if let (Some(v), Some(w)) = (self.floats.get_mut(step), self.present.get_mut(step / 64)) {
            *v = value;
            *w |= 1 << (step % 64);
            if let Some(h) = self.histograms.get_mut(step) {
                *h = None;
            }
        }
    }

    pub fn set_histogram(&mut self, step: usize, value: Arc<Histogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.floats.len(), None);
        }
        if let (Some(h), Some(w)) = (self.histograms.get_mut(step), self.present.get_mut(step / 64)) {
            *h = Some(value);
            *w |= 1 << (step % 64);
        }
    }

    pub fn set(&mut self, step: usize, cell: Cell<'_>) {
        match cell {
            Cell::Float(v) => self.set_float(step, v),
            Cell::Histogram(h) => self.set_histogram(step, h.clone()),
        }
    }

    pub fn put(&mut self, step: usize, value: Value) {
        match value {
            Value::Float(v) => self.set_float(step, v),
            Value::Histogram(h) => self.set_histogram(step, h),
        }
    }

    /// Presence, one bit per step.
    pub fn presence(&self) -> &[u64] {
        &self.present
    }

    /// The floats of all steps; meaningless where nothing is present or a histogram is.
    pub fn raw_floats(&self) -> &[f64] {
        &self.floats
    }

    /// Keeps only steps whose bit is set in `mask`.
    pub fn mask(&mut self, mask: impl Fn(usize) -> u64) {
        for (i, w) in self.present.iter_mut().enumerate() {
            *w &= mask(i);
        }
        if self.has_histograms() {
            for i in 0..self.histograms.len() {
                if !self.is_present(i) {
                    self.histograms[i] = None;
                }
            }
        }
    }

    /// Repeats the only step of this column `steps` times.
    pub fn broadcast(&self, steps: usize) -> Column {
        let mut out = Column::empty(steps);
        if let Some(cell) = self.get(0) {
            for i in 0..steps {
                out.set(i, cell);
            }
        }
        out
    }

    /// Removes the value at a step.
    pub fn clear(&mut self, step: usize) {
        if let Some(w) = self.present.get_mut(step / 64) {
            *w &= !(1 << (step % 64));
        }
        if let Some(h) = self.histograms.get_mut(step) {
            *h = None;
        }
    }

    /// Steps that have a value, ascending.
    pub fn steps(&self) -> impl Iterator<Item = usize> + '_ {
        self.present.iter().enumerate().flat_map(|(i, w)| {
            let mut rest = *w;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    i * 64 + bit
                })
            })
        })
    }

    /// Applies `f` to every float; histograms are removed.
    pub fn map_floats(&mut self, mut f: impl FnMut(f64) -> f64) {
        if self.has_histograms() {
            for i in 0..self.len() {
                if matches!(self.histograms.get(i), Some(Some(_))) {
                    self.clear(i);
                }
            }
            self.histograms = Vec::new();
        }
        for i in 0..self.floats.len() {
            if self.is_present(i) {
                self.floats[i] = f(self.floats[i]);
            }
        }
    }

    /// Whether both have a value at some step.
    pub fn overlaps(&self, other: &Column) -> bool {
        self.present.iter().zip(&other.present).any(|(a, b)| a & b != 0)
    }

    /// Moves the values of `other` into steps where this has none. `false` if both have one at some step,
    /// in which case nothing is changed.
    pub fn absorb(&mut self, other: &Column) -> bool {
        if self.overlaps(other) {
            return false;
        }
        for i in other.steps() {
            if let Some(c) = other.get(i) {
                self.set(i, c);
            }
        }
        true
    }

    /// Bytes held, for [`crate::Meter`].
    pub fn heap_bytes(&self) -> usize {
        self.floats.len() * 8
            + self.present.len() * 8
            + self.histograms.len() * 8
            + self
                .histograms
                .iter()
                .flatten()
                .map(|h| h.heap_bytes() / Arc::strong_count(h).max(1))
                .sum::<usize>()
    }
}

/// A labelled column: one row of an instant vector over all steps.
#[derive(Debug, Clone)]
pub struct Series {
    pub labels: Labels,
    pub column: Column,
    /// `__name__` is to be dropped from the final answer (see [`crate::Env::delay_name_removal`]).
    pub drop_name: bool,
}

impl Series {
    pub fn new(labels: Labels, column: Column) -> Self {
        Series { labels, column, drop_name: false }
    }

    pub fn heap_bytes(&self) -> usize {
        self.column.heap_bytes() + self.labels.packed_len() + std::mem::size_of::<Self>()
    }
}
