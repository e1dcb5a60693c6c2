//! Record batches as bytes of the formats an answer is given in.

mod csv;
mod json;
mod value;

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::writer::StreamWriter};

use crate::Error;

/// Writes an answer batch by batch.
pub(crate) enum Writer {
    Json {
        is_first: bool,
    },
    /// The header row is written with the first piece.
    Csv {
        head: Vec<u8>,
    },
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Writer {
    pub(crate) fn json() -> Self {
        Writer::Json { is_first: true }
    }

    pub(crate) fn csv(schema: &SchemaRef) -> Self {
        Writer::Csv { head: csv::head(schema) }
    }

    pub(crate) fn arrow(schema: &SchemaRef) -> Result<Self, Error> {
        Ok(Writer::Arrow(Box::new(StreamWriter::try_new(Vec::new(), schema)?)))
    }

    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, Error> {
        match self {
            Writer::Json { is_first } => json::rows(batch, std::mem::take(is_first)),
            Writer::Csv { head } => csv::rows(batch, std::mem::take(head)),
            Writer::Arrow(writer) => {
                writer.write(batch)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// What follows the last row.
    pub(crate) fn end(&mut self) -> Result<Vec<u8>, Error> {
        match self {
            Writer::Json { .. } => Ok(Vec::new()),
            Writer::Csv { head } => Ok(std::mem::take(head)),
            Writer::Arrow(writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
