//! The table of strings of a 2.0 request.

use crate::protobuf::{Fault, Reader};

/// Strings by their position, as offsets into the body: 8 bytes each, so that a body full of empty strings
/// takes four times its size and no more.
pub(super) struct Symbols<'a> {
    body: &'a [u8],
    spans: Vec<(u32, u32)>,
}

/// Length of a string that is not UTF-8.
const NOT_TEXT: u32 = u32::MAX;

impl<'a> Symbols<'a> {
    /// Collects the symbols of the whole body, which may stand anywhere in it. Each is checked to be text once,
    /// however often it is used.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Fault> {
        if u32::try_from(body.len()).is_err() {
            return Err("the request is larger than 4 GiB");
        }
        let mut spans = Vec::new();
        let mut r = Reader::new(body);
        while let Some((field, value)) = r.next()? {
            if field != 4 {
                continue;
            }
            let text = value.bytes()?;
            let end = body.len() - r.rest();
            let length = if std::str::from_utf8(text).is_ok() { text.len() as u32 } else { NOT_TEXT };
            spans.push(((end - text.len()) as u32, length));
        }
        if spans.first().is_some_and(|(_, length)| *length != 0) {
            return Err("the first symbol is not the empty string");
        }
        Ok(Symbols { body, spans })
    }

    pub(super) fn get(&self, at: u32) -> Result<&'a str, String> {
        let Some(&(start, length)) = self.spans.get(at as usize) else {
            // A table of nothing has the empty string that everyone may refer to.
            if at == 0 && self.spans.is_empty() {
                return Ok("");
            }
            return Err(format!("reference {at} is past the {} symbols", self.spans.len()));
        };
        if length == NOT_TEXT {
            return Err(format!("symbol {at} is not UTF-8"));
        }
        let start = start as usize;
        let text = self.body.get(start..start + length as usize).unwrap_or_default();
        // Checked when the table was read.
        std::str::from_utf8(text).map_err(|_| format!("symbol {at} is not UTF-8"))
    }

    /// Resolves pairs of references into `out`, which is cleared first.
    pub(super) fn pairs(&self, refs: &[u32], out: &mut Vec<(&'a str, &'a str)>) -> Result<(), String> {
        out.clear();
        let (pairs, odd) = refs.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(format!("{} label references, which is no whole number of pairs", refs.len()));
        }
        for [name, value] in pairs {
            out.push((self.get(*name)?, self.get(*value)?));
        }
        Ok(())
    }
}
