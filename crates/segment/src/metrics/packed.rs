//! A column of a row group as it is kept in memory: integers as narrow as their span, texts once each.
//!
//! Times of one scrape interval differ by less than a minute, labels have few values, most counts are equal: a
//! row of labels and counts takes some 15 bytes here and several hundred as Arrow arrays.

/// An integer or nothing in each row. Code 0 is nothing, `c` is `base + c - 1`.
#[derive(Debug, PartialEq)]
pub(super) struct Packed {
    base: i64,
    codes: Codes,
}

#[derive(Debug, PartialEq)]
enum Codes {
    /// The same in so many rows.
    Same(u32, usize),
    Byte(Vec<u8>),
    Short(Vec<u16>),
    Word(Vec<u32>),
    /// Spans that no code fits.
    Wide(Vec<Option<i64>>),
}

impl Packed {
    pub fn of(values: Vec<Option<i64>>) -> Self {
        let some = || values.iter().flatten().copied();
        let (Some(base), Some(largest)) = (some().min(), some().max()) else {
            return Packed { base: 0, codes: Codes::Same(0, values.len()) };
        };
        let code = |v: &Option<i64>| v.map_or(0, |v| v.wrapping_sub(base) as u64 + 1);
        let codes = match (largest.wrapping_sub(base) as u64).saturating_add(1) {
            1 if values.iter().all(Option::is_some) => Codes::Same(1, values.len()),
            n if n <= u64::from(u8::MAX) => Codes::Byte(values.iter().map(|v| code(v) as u8).collect()),
            n if n <= u64::from(u16::MAX) => Codes::Short(values.iter().map(|v| code(v) as u16).collect()),
            n if n <= u64::from(u32::MAX) => Codes::Word(values.iter().map(|v| code(v) as u32).collect()),
            _ => Codes::Wide(values),
        };
        Packed { base, codes }
    }

    pub fn len(&self) -> usize {
        match &self.codes {
            Codes::Same(_, n) => *n,
            Codes::Byte(v) => v.len(),
            Codes::Short(v) => v.len(),
            Codes::Word(v) => v.len(),
            Codes::Wide(v) => v.len(),
        }
    }

    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        let code = match &self.codes {
            Codes::Same(c, n) => (row < *n).then_some(*c)?,
            Codes::Byte(v) => u32::from(*v.get(row)?),
            Codes::Short(v) => u32::from(*v.get(row)?),
            Codes::Word(v) => *v.get(row)?,
            Codes::Wide(v) => return v.get(row).copied().flatten(),
        };
        (code > 0).then(|| self.base.wrapping_add(i64::from(code) - 1))
    }

    /// The rows whose integer `accept` takes, out of all.
    pub fn rows(&self, accept: impl Fn(Option<i64>) -> bool) -> Vec<u32> {
        match &self.codes {
            Codes::Same(..) => match accept(self.get(0)) {
                true => (0..self.len() as u32).collect(),
                false => Vec::new(),
            },
            // Asked once per code, not once per row.
            Codes::Byte(v) => {
                let mut wanted = [false; 256];
                for (code, w) in (0i64..).zip(&mut wanted) {
                    *w = accept((code > 0).then(|| self.base.wrapping_add(code - 1)));
                }
                let taken = v.iter().enumerate().filter(|(_, c)| wanted.get(usize::from(**c)) == Some(&true));
                taken.map(|(row, _)| row as u32).collect()
            }
            _ => (0..self.len()).filter(|row| accept(self.get(*row))).map(|row| row as u32).collect(),
        }
    }

    pub fn heap_bytes(&self) -> usize {
        match &self.codes {
            Codes::Same(..) => 0,
            Codes::Byte(v) => v.capacity(),
            Codes::Short(v) => v.capacity() * 2,
            Codes::Word(v) => v.capacity() * 4,
            Codes::Wide(v) => v.capacity() * 16,
        }
    }
}

/// A column: numbers, or positions among texts.
#[derive(Debug, PartialEq)]
pub(super) struct Column {
    pub numbers: Packed,
    texts: Vec<Box<str>>,
}

impl Column {
    pub fn of_numbers(values: Vec<Option<i64>>) -> Self {
        Column { numbers: Packed::of(values), texts: Vec::new() }
    }

    /// `keys` are positions in `texts`.
    pub fn of_texts(keys: Vec<Option<i64>>, texts: Vec<Box<str>>) -> Self {
        Column { numbers: Packed::of(keys), texts }
    }

    pub fn text(&self, row: usize) -> Option<&str> {
        self.text_of(self.numbers.get(row)?)
    }

    fn text_of(&self, key: i64) -> Option<&str> {
        self.texts.get(usize::try_from(key).ok()?).map(|t| &**t)
    }

    /// The texts, each once, in no order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|t| &**t)
    }

    /// Evaluates `f` once per text.
    pub fn accepts(&self, absent: bool, f: impl FnMut(&str) -> bool) -> impl Fn(Option<i64>) -> bool {
        let each: Vec<bool> = self.texts().map(f).collect();
        move |key| match key {
            Some(k) => usize::try_from(k).ok().and_then(|k| each.get(k)).copied().unwrap_or(absent),
            None => absent,
        }
    }

    pub fn heap_bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|t| t.len() + size_of::<Box<str>>()).sum();
        self.numbers.heap_bytes() + texts + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_values_take_no_room_and_small_spans_a_byte() {
        assert_eq!(Packed::of(vec![Some(7); 1000]).heap_bytes(), 0);
        assert_eq!(Packed::of(vec![None; 1000]).heap_bytes(), 0);
        let near: Vec<_> = (0..1000).map(|i| Some(1_700_000_000_000 + i % 200)).collect();
        assert_eq!(Packed::of(near).heap_bytes(), 1000);
    }

    proptest! {
        #[test]
        fn every_integer_comes_back(
            values in prop::collection::vec(
                prop::option::of(prop_oneof![any::<i64>(), 0i64..3, 0i64..300, 0i64..70_000, Just(i64::MAX)]),
                0..50,
            ),
            wanted in 0i64..3,
        ) {
            let packed = Packed::of(values.clone());
            let back: Vec<_> = (0..packed.len()).map(|row| packed.get(row)).collect();
            prop_assert_eq!(&back, &values);
            prop_assert_eq!(packed.get(values.len()), None);
            let rows = packed.rows(|v| v.is_none_or(|v| v >= wanted));
            let want: Vec<u32> =
                (0..values.len() as u32).filter(|r| values[*r as usize].is_none_or(|v| v >= wanted)).collect();
            prop_assert_eq!(rows, want);
        }
    }
}
