//! Bodies of a batch of rows, whichever columns they are in.

use arrow::{
    array::{Array, AsArray, BinaryArray, RecordBatch, StringArray, UInt32Array},
    datatypes::UInt32Type,
};
use model::AnyValue;

use super::{
    cutter::Cut,
    template::{Table, Template},
};
use crate::{
    Result,
    arrays::{at, bytes_at, str_at, strings},
    file::File,
    text,
};

const PLAIN: [&str; 2] = ["body", "body_typed"];
const CUT: [&str; 4] = ["body", "body_typed", "template", "values"];

/// Columns that bodies are in.
pub(in crate::logs) fn columns(cut: bool) -> &'static [&'static str] {
    if cut { &CUT } else { &PLAIN }
}

/// What a row has for a body.
pub(in crate::logs) enum Body<'a> {
    Empty,
    Plain(&'a str),
    Cut(&'a Template, &'a [u8]),
    Typed(&'a str),
}

pub(in crate::logs) struct Bodies<'a> {
    file: &'a File,
    table: &'a Table,
    plain: &'a StringArray,
    typed: &'a StringArray,
    cut: Option<(&'a UInt32Array, &'a BinaryArray)>,
}

impl<'a> Bodies<'a> {
    pub fn of(file: &'a File, table: &'a Table, batch: &'a RecordBatch) -> Result<Self> {
        let template = batch.column_by_name("template").and_then(|a| a.as_primitive_opt::<UInt32Type>());
        let values = batch.column_by_name("values").and_then(|a| a.as_binary_opt::<i32>());
        Ok(Bodies {
            file,
            table,
            plain: strings(file, batch, "body")?,
            typed: strings(file, batch, "body_typed")?,
            cut: template.zip(values),
        })
    }

    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// The number of the template of a row that has one.
    pub fn template(&self, row: usize) -> Option<u32> {
        self.cut.and_then(|(template, _)| at(template, row))
    }

    pub fn body(&self, row: usize) -> Result<Body<'a>> {
        if let Some((template, values)) = self.cut
            && let Some(number) = at(template, row)
        {
            let template = self.table.get(number);
            let template =
                template.ok_or_else(|| self.file.corrupt(format!("template {number} in the table")))?;
            return Ok(Body::Cut(template, bytes_at(values, row).unwrap_or_default()));
        }
        Ok(match (str_at(self.plain, row), str_at(self.typed, row)) {
            (Some(s), _) => Body::Plain(s),
            (None, Some(json)) => Body::Typed(json),
            (None, None) => Body::Empty,
        })
    }

    /// The text of a body, strings bare and everything else as JSON, by way of a buffer.
    pub fn text<'b>(&self, body: Body<'b>, buffer: &'b mut Vec<u8>) -> Result<&'b str> {
        buffer.clear();
        match body {
            Body::Empty => {
                buffer.extend_from_slice(AnyValue::Empty.to_string().as_bytes());
            }
            Body::Plain(s) => return Ok(s),
            Body::Typed(json) => buffer.extend_from_slice(self.typed(json)?.to_string().as_bytes()),
            Body::Cut(template, values) => self.assemble(template, values, buffer)?,
        }
        std::str::from_utf8(buffer).map_err(|_| self.file.corrupt("text in the values of a body"))
    }

    pub fn value(&self, row: usize) -> Result<AnyValue> {
        Ok(match self.body(row)? {
            Body::Empty => AnyValue::Empty,
            Body::Plain(s) => AnyValue::from(s),
            Body::Typed(json) => self.typed(json)?,
            Body::Cut(template, values) => {
                let mut line = Vec::with_capacity(values.len() * 4);
                self.assemble(template, values, &mut line)?;
                let line = String::from_utf8(line);
                AnyValue::String(line.map_err(|_| self.file.corrupt("text in the values of a body"))?)
            }
        })
    }

    /// The body of a row that is not cut; empty for one that is.
    pub fn uncut(&self, row: usize) -> Result<AnyValue> {
        let cut = self.cut.and_then(|(template, _)| at(template, row));
        if cut.is_some() { Ok(AnyValue::Empty) } else { self.value(row) }
    }

    /// How the body of a row is cut, where it is.
    pub fn cut(&self, row: usize) -> Option<Cut> {
        let (template, values) = self.cut?;
        let template = at(template, row)?;
        Some(Cut { template, values: bytes_at(values, row).unwrap_or_default().into() })
    }

    fn typed(&self, json: &str) -> Result<AnyValue> {
        text::decode(json).map_err(|e| self.file.corrupt(format!("body_typed: {e}")))
    }

    fn assemble(&self, template: &Template, values: &[u8], out: &mut Vec<u8>) -> Result<()> {
        template.assemble(values, out).ok_or_else(|| self.file.corrupt("the values of a body's template"))
    }
}
