//! What a decoder returns: the batch it could make, and the items it had to leave out with a reason each. A
//! body that cannot be read at all is an [`crate::Error`]; one bad item is not.

/// A decoded body.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<B> {
    pub batch: B,
    pub refused: Refusals,
    /// Every item carried its own time. Where false, two equal bodies are two events, and the decoder has
    /// filled in the time of receipt.
    pub all_timed: bool,
}

impl<B> Decoded<B> {
    /// The same outcome around another batch.
    pub fn map<C>(self, f: impl FnOnce(B) -> C) -> Decoded<C> {
        Decoded { batch: f(self.batch), refused: self.refused, all_timed: self.all_timed }
    }
}

/// Why an item was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A label or attribute breaks a rule or a limit.
    InvalidLabels,
    /// The sample, histogram, record or span itself is not valid.
    InvalidItem,
    /// The item is larger than allowed.
    TooLarge,
    /// A data type this version does not take.
    Unsupported,
}

/// Items of one body left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub reason: Reason,
    pub count: u64,
    /// Position of the first such item in the body, counted from 0 over items of its signal.
    pub first: u64,
    /// The first such item, described for its sender.
    pub detail: String,
}

/// All refusals of one body, one entry per reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(Vec<Refused>);

impl Refusals {
    /// Counts one item; `detail` is called for the first of its reason only.
    pub fn add(&mut self, reason: Reason, index: u64, detail: impl FnOnce() -> String) {
        self.add_many(reason, index, 1, detail);
    }

    /// Counts `count` items that begin at `index`.
    pub fn add_many(&mut self, reason: Reason, index: u64, count: u64, detail: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        match self.0.iter_mut().find(|r| r.reason == reason) {
            Some(r) => r.count += count,
            None => self.0.push(Refused { reason, count, first: index, detail: detail() }),
        }
    }

    pub fn total(&self) -> u64 {
        self.0.iter().map(|r| r.count).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Refused> {
        self.0.iter()
    }
}

impl IntoIterator for Refusals {
    type Item = Refused;
    type IntoIter = std::vec::IntoIter<Refused>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
