//! The primitives of the encoding, reading side. Layouts are drawn in [`super`].

use super::{MAX_SYMBOL, NativeError};

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Reads stop here: the end of the unit or of the batch being read.
    end: usize,
    symbols: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0, end: bytes.len(), symbols: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// Bytes that can still be read.
    pub(super) fn left(&self) -> usize {
        self.end - self.at
    }

    pub(super) fn invalid(&self, what: &'static str, reason: impl Into<String>) -> NativeError {
        NativeError::Invalid { what, offset: self.at, reason: reason.into() }
    }

    pub(super) fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], NativeError> {
        let cut = NativeError::Truncated { what, offset: self.at };
        if n > self.end - self.at {
            return Err(cut);
        }
        let taken = self.bytes.get(self.at..self.at + n).ok_or(cut)?;
        self.at += n;
        Ok(taken)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, NativeError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], NativeError> {
        let taken = self.take(N, what)?;
        taken.try_into().map_err(|_| NativeError::Truncated { what, offset: self.at })
    }

    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, NativeError> {
        let mut v = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte(what)?;
            // The tenth byte has room for one bit.
            if shift == 63 && b > 1 {
                break;
            }
            v |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Ok(v);
            }
        }
        Err(self.invalid(what, "the number is longer than 64 bits"))
    }

    pub(super) fn zigzag(&mut self, what: &'static str) -> Result<i64, NativeError> {
        let v = self.varint(what)?;
        Ok((v >> 1) as i64 ^ -((v & 1) as i64))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, NativeError> {
        let v = self.varint(what)?;
        u32::try_from(v).map_err(|_| self.invalid(what, format!("{v} does not fit 32 bits")))
    }

    /// A number of things that follow, each at least one byte long.
    pub(super) fn count(&mut self, what: &'static str) -> Result<usize, NativeError> {
        let n = self.varint(what)?;
        match usize::try_from(n) {
            Ok(n) if n <= self.end - self.at => Ok(n),
            _ => Err(self.invalid(what, format!("{n} of them do not fit into what is left"))),
        }
    }

    pub(super) fn float(&mut self, what: &'static str) -> Result<f64, NativeError> {
        Ok(f64::from_bits(self.varint(what)?.swap_bytes()))
    }

    /// See [`super::writer::Writer::short_float`].
    pub(super) fn short_float(&mut self, what: &'static str) -> Result<f64, NativeError> {
        let n = usize::from(self.byte(what)?);
        let mut bits = [0u8; 8];
        match bits.get_mut(..n) {
            Some(high) => high.copy_from_slice(self.take(n, what)?),
            None => return Err(self.invalid(what, format!("a float of {n} bytes"))),
        }
        Ok(f64::from_bits(u64::from_be_bytes(bits)))
    }

    pub(super) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], NativeError> {
        let n = self.count(what)?;
        self.take(n, what)
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, NativeError> {
        let bytes = self.bytes(what)?;
        std::str::from_utf8(bytes).map_err(|e| self.invalid(what, e.to_string()))
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<&'a str, NativeError> {
        let n = self.varint(what)?;
        let known = self.symbols.len() as u64;
        if n == 0 {
            let s = self.text(what)?;
            if s.len() > MAX_SYMBOL {
                return Err(self.invalid(what, format!("a symbol of {} bytes", s.len())));
            }
            self.symbols.push(s);
            return Ok(s);
        }
        if n == known + 1 {
            return self.text(what);
        }
        let found = usize::try_from(n - 1).ok().and_then(|i| self.symbols.get(i).copied());
        found.ok_or_else(|| self.invalid(what, format!("symbol {n} of {known}")))
    }

    /// Reads a length and confines reading to that many bytes; returns what [`Reader::end_sized`] restores.
    pub(super) fn begin_sized(&mut self, what: &'static str) -> Result<usize, NativeError> {
        let n = self.count(what)?;
        Ok(std::mem::replace(&mut self.end, self.at + n))
    }

    pub(super) fn end_sized(&mut self, outer: usize) -> Result<(), NativeError> {
        if !self.is_empty() {
            return Err(self.invalid("batch", "bytes follow its last part"));
        }
        self.end = outer;
        Ok(())
    }

    /// Reads `what` many times. Capacity follows what was really read, since counts may lie.
    pub(super) fn many<T>(
        &mut self,
        what: &'static str,
        mut one: impl FnMut(&mut Self) -> Result<T, NativeError>,
    ) -> Result<Vec<T>, NativeError> {
        let n = self.count(what)?;
        let mut out = Vec::with_capacity(n.min(256));
        for _ in 0..n {
            out.push(one(self)?);
        }
        Ok(out)
    }
}
