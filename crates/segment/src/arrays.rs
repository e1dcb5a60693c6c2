//! Typed looks at columns of a record batch. A missing column or an unexpected type is a corrupt segment.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{ArrowPrimitiveType, DataType, Int32Type},
};

use crate::{Error, Result, file::File};

/// One column, any type.
pub(crate) fn column<'a>(file: &File, batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    batch.column_by_name(name).map(|a| &**a).ok_or_else(|| missing(file, name))
}

fn missing(file: &File, name: &str) -> Error {
    file.corrupt(format!("a column {name}"))
}

fn wrong_type(file: &File, name: &str, found: &DataType) -> Error {
    file.corrupt(format!("column {name} to have its type, not {found}"))
}

pub(crate) fn primitive<'a, T: ArrowPrimitiveType>(
    file: &File,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::PrimitiveArray<T>> {
    let a = column(file, batch, name)?;
    a.as_primitive_opt::<T>().ok_or_else(|| wrong_type(file, name, a.data_type()))
}

pub(crate) fn binary<'a>(
    file: &File,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::BinaryArray> {
    let a = column(file, batch, name)?;
    a.as_binary_opt::<i32>().ok_or_else(|| wrong_type(file, name, a.data_type()))
}

pub(crate) fn strings<'a>(
    file: &File,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::StringArray> {
    let a = column(file, batch, name)?;
    a.as_string_opt::<i32>().ok_or_else(|| wrong_type(file, name, a.data_type()))
}

/// A dictionary column of text.
#[derive(Clone, Copy)]
pub(crate) struct Dictionary<'a> {
    keys: &'a arrow::array::PrimitiveArray<Int32Type>,
    values: &'a arrow::array::StringArray,
}

impl<'a> Dictionary<'a> {
    pub fn of(file: &File, batch: &'a RecordBatch, name: &str) -> Result<Self> {
        let a = column(file, batch, name)?;
        let d = a.as_dictionary_opt::<Int32Type>().ok_or_else(|| wrong_type(file, name, a.data_type()))?;
        let values = d.values();
        let values = values.as_string_opt::<i32>().ok_or_else(|| wrong_type(file, name, a.data_type()))?;
        Ok(Dictionary { keys: d.keys(), values })
    }

    /// Position among the distinct values; `None` for null.
    pub fn key(&self, row: usize) -> Option<usize> {
        if row >= self.keys.len() || self.keys.is_null(row) {
            return None;
        }
        usize::try_from(self.keys.value(row)).ok().filter(|k| *k < self.values.len())
    }

    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.key(row).and_then(|k| self.value(k))
    }

    /// A distinct value.
    pub fn value(&self, key: usize) -> Option<&'a str> {
        (key < self.values.len() && !self.values.is_null(key)).then(|| self.values.value(key))
    }

    /// Evaluates once per distinct value; the answer per row, `absent` for null.
    pub fn map_rows<T: Clone>(&self, absent: T, mut f: impl FnMut(&str) -> T) -> Vec<T> {
        let mut known: Vec<Option<T>> = vec![None; self.values.len()];
        (0..self.keys.len())
            .map(|row| match self.key(row) {
                Some(k) => match (known.get(k).cloned().flatten(), self.value(k)) {
                    (Some(v), _) => v,
                    (None, Some(text)) => {
                        let v = f(text);
                        if let Some(slot) = known.get_mut(k) {
                            *slot = Some(v.clone());
                        }
                        v
                    }
                    (None, None) => absent.clone(),
                },
                None => absent.clone(),
            })
            .collect()
    }
}

/// A value unless null.
pub(crate) fn at<T: ArrowPrimitiveType>(
    a: &arrow::array::PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    (row < a.len() && a.is_valid(row)).then(|| a.value(row))
}

pub(crate) fn bytes_at(a: &arrow::array::BinaryArray, row: usize) -> Option<&[u8]> {
    (row < a.len() && a.is_valid(row)).then(|| a.value(row))
}

pub(crate) fn str_at(a: &arrow::array::StringArray, row: usize) -> Option<&str> {
    (row < a.len() && a.is_valid(row)).then(|| a.value(row))
}
