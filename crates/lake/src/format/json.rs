//! Rows as JSON arrays, with commas between them.

use datafusion::arrow::array::RecordBatch;

use super::value;
use crate::Error;

/// What a row is expected to take, so that a piece grows seldom.
const BYTES_PER_ROW: usize = 128;

pub(super) fn rows(batch: &RecordBatch, is_first: bool) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(batch.num_rows() * BYTES_PER_ROW);
    for row in 0..batch.num_rows() {
        if row > 0 || !is_first {
            out.extend_from_slice(b",\n");
        }
        out.push(b'[');
        for (at, column) in batch.columns().iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            value::json(&mut out, &**column, row)?;
        }
        out.push(b']');
    }
    Ok(out)
}
