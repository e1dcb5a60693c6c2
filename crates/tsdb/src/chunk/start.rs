//! Start timestamps inside a chunk. A header byte says whether the first sample has one (highest bit) and from
//! which sample on they change (seven bits, 0 for never); they are kept as the distance to the sample before.

use crate::{Fault, bits::Bits};

#[derive(Default)]
pub(super) struct Starts {
    first_known: bool,
    change_on: usize,
    distance: i64,
    start_ms: i64,
}

impl Starts {
    pub(super) fn new(header: u8) -> Self {
        Starts { first_known: header & 0x80 != 0, change_on: usize::from(header & 0x7f), ..Starts::default() }
    }

    /// The start of sample `i`, read after the sample itself. `t` is its time, `before` that of the one before.
    pub(super) fn next(&mut self, b: &mut Bits<'_>, i: usize, t: i64, before: i64) -> Result<i64, Fault> {
        if i == 0 {
            if self.first_known {
                self.start_ms = t.wrapping_sub(b.varint()?);
            }
        } else if self.change_on > 0 && i >= self.change_on {
            let read = b.varbit_int()?;
            self.distance = if i == self.change_on { read } else { self.distance.wrapping_add(read) };
            self.start_ms = before.wrapping_sub(self.distance);
        }
        Ok(self.start_ms)
    }
}
