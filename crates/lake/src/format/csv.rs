//! RFC 4180: a header row, fields in quotes where they hold what divides fields, lines that end in CR LF.

use datafusion::arrow::{
    array::{Array, RecordBatch},
    datatypes::Schema,
};

use super::value;
use crate::Error;

pub(super) fn head(schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(&mut out, field.name());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// `out` is what comes before.
pub(super) fn rows(batch: &RecordBatch, mut out: Vec<u8>) -> Result<Vec<u8>, Error> {
    for row in 0..batch.num_rows() {
        for (at, column) in batch.columns().iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            // A field that is null stays empty, one that is an empty text is quoted.
            if !column.is_null(row) {
                write(&mut out, &value::text(&**column, row)?);
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

fn write(out: &mut Vec<u8>, text: &str) {
    if !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
