//! The strings labels are made of.

use crate::{
    Fault,
    cursor::{Cursor, SHORT},
};

/// The section as it is, and where each string stands in it.
#[derive(Default)]
pub(super) struct Symbols {
    bytes: Vec<u8>,
    /// Start and length of each string in `bytes`, in order.
    places: Vec<(u32, u32)>,
    /// Version 1: the offset in the file of the first byte of `bytes`; references are offsets.
    base: Option<u64>,
}

impl Symbols {
    /// Reads the section behind its length.
    pub(super) fn parse(bytes: Vec<u8>, base: Option<u64>) -> Result<Self, Fault> {
        let mut c = Cursor(&bytes);
        let n = c.u32()? as usize;
        // A string takes a byte at least.
        let mut places = Vec::with_capacity(n.min(c.0.len()));
        for _ in 0..n {
            let text = c.text()?;
            if std::str::from_utf8(text).is_err() {
                return Err("a symbol is not UTF-8");
            }
            let end = bytes.len() - c.0.len();
            places.push(((end - text.len()) as u32, text.len() as u32));
        }
        Ok(Symbols { bytes, places, base })
    }

    pub(super) fn get(&self, reference: u64) -> Result<&str, Fault> {
        const MISSING: Fault = "a label refers to a symbol that does not exist";
        let place = match self.base {
            None => self.places.get(usize::try_from(reference).map_err(|_| MISSING)?).copied(),
            Some(base) => self.at_offset(reference.checked_sub(base).ok_or(MISSING)?),
        };
        let (start, len) = place.ok_or(MISSING)?;
        let text = self.bytes.get(start as usize..start as usize + len as usize).ok_or(MISSING)?;
        std::str::from_utf8(text).map_err(|_| SHORT)
    }

    /// The string whose length begins at this byte of the section.
    fn at_offset(&self, offset: u64) -> Option<(u32, u32)> {
        let mut c = Cursor(self.bytes.get(usize::try_from(offset).ok()?..)?);
        let text = c.text().ok()?;
        let start = u32::try_from(self.bytes.len() - c.0.len() - text.len()).ok()?;
        let at = self.places.binary_search_by_key(&start, |p| p.0).ok()?;
        self.places.get(at).copied()
    }
}
