//! How many lines came when: counts by stretches of [`STRETCH_S`] seconds, as Loki keeps them.

/// Seconds of one stretch.
pub(super) const STRETCH_S: u32 = 10;

/// Ascending stretches, counted from 1970, with the lines in each.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<(u32, u32)>);

impl Samples {
    pub(super) fn add(&mut self, stretch: u32, lines: u32) {
        let at = match self.0.last() {
            Some((last, _)) if *last == stretch => Ok(self.0.len() - 1),
            Some((last, _)) if *last > stretch => self.0.binary_search_by_key(&stretch, |(s, _)| *s),
            _ => Err(self.0.len()),
        };
        match at {
            Ok(at) => {
                if let Some((_, n)) = self.0.get_mut(at) {
                    *n = n.saturating_add(lines);
                }
            }
            Err(at) => self.0.insert(at, (stretch, lines)),
        }
    }

    pub(super) fn forget_before(&mut self, stretch: u32) {
        let gone = self.0.partition_point(|(s, _)| *s < stretch);
        if gone > 0 {
            self.0.drain(..gone);
            self.0.shrink_to(2 * self.0.len());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * std::mem::size_of::<(u32, u32)>()
    }
}
