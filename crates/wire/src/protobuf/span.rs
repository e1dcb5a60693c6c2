//! `BucketSpan`, the same message in remote write and in protobuf expositions.

use model::histogram::BucketSpan;

use super::{Fault, Reader, Value, zigzag};

/// Field 1 is the offset (sint32), field 2 the length (uint32); either may be absent and is 0 then.
pub(crate) fn bucket_span(v: Value<'_>) -> Result<BucketSpan, Fault> {
    let mut span = BucketSpan { offset: 0, length: 0 };
    let mut r = Reader::new(v.bytes()?);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => span.offset = zigzag(v.varint()?) as i32,
            2 => span.length = v.varint()? as u32,
            _ => {}
        }
    }
    Ok(span)
}
