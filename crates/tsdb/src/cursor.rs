//! Reads integers and strings off a slice.

use crate::Fault;

pub(crate) const SHORT: Fault = "the bytes end too early";

pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        let (&b, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(b)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into().map_err(|_| SHORT)?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_be_bytes(self.take(8)?.try_into().map_err(|_| SHORT)?))
    }

    /// Go's `binary.Uvarint`: seven bits a byte, lowest first, at most ten bytes.
    pub(crate) fn uvarint(&mut self) -> Result<u64, Fault> {
        uvarint(|| self.u8())
    }

    /// Go's `binary.Varint`: zigzag over [`Cursor::uvarint`].
    pub(crate) fn varint(&mut self) -> Result<i64, Fault> {
        self.uvarint().map(unzigzag)
    }

    pub(crate) fn text(&mut self) -> Result<&'a [u8], Fault> {
        let len = usize::try_from(self.uvarint()?).map_err(|_| SHORT)?;
        self.take(len)
    }
}

pub(crate) fn uvarint(mut byte: impl FnMut() -> Result<u8, Fault>) -> Result<u64, Fault> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let b = byte()?;
        let bits = u64::from(b & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if b < 0x80 {
            return Ok(value);
        }
    }
    Err("a variable-length integer is longer than 64 bits")
}

pub(crate) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}
