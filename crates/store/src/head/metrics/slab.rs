//! A vector that grows without moving what it holds, and has little room to spare: there are very many series.

/// Elements that lie together. Larger: more memory for the last ones; smaller: more look-ups miss the cache.
const CHUNK: usize = 1024;

pub(super) struct Slab<T> {
    /// All full but the last.
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { chunks: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn push(&mut self, value: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            Some(_) => {
                let mut next = Vec::with_capacity(CHUNK);
                next.push(value);
                self.chunks.push(next);
            }
            // The first one grows: most tenants have few series.
            None => self.chunks.push(vec![value]),
        }
    }

    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.chunks.get(at as usize / CHUNK)?.get(at as usize % CHUNK)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.chunks.get_mut(at as usize / CHUNK)?.get_mut(at as usize % CHUNK)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.chunks.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_where_they_were_put() {
        let mut slab = Slab::default();
        for i in 0..3 * CHUNK as u32 + 5 {
            assert_eq!(slab.len(), i as usize);
            slab.push(i);
        }
        let n = slab.len() as u32;
        assert!((0..n).all(|i| slab.get(i) == Some(&i)));
        assert_eq!(slab.get(n), None);
        assert_eq!(slab.get_mut(u32::MAX), None);
        slab.iter_mut().for_each(|v| *v += 1);
        assert!(slab.into_iter().eq(1..=n));
    }
}
