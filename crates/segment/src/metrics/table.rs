//! Whole columns of a row group, from the cache or out of Parquet: everything that is not samples.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, TimestampMillisecondType, UInt32Type},
};
use futures::TryStreamExt;

use super::{
    cache::{ColumnCache, Piece, Place},
    packed::Column,
};
use crate::{
    Result,
    arrays::{Dictionary, at, binary, bytes_at, column, primitive},
    file::File,
};

/// Rows decoded together.
const BATCH_ROWS: usize = 8192;

/// Where a reader's columns are kept, if anywhere.
#[derive(Default)]
pub(super) struct Columns(Option<(Arc<ColumnCache>, u64)>);

impl Drop for Columns {
    fn drop(&mut self) {
        if let Some((cache, reader)) = &self.0 {
            cache.leave(*reader);
        }
    }
}

/// Columns of one row group.
pub(super) struct Table(HashMap<String, Arc<Column>>);

impl Table {
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.0.get(name).map(|c| &**c)
    }

    /// A column that was loaded.
    pub fn column(&self, file: &File, name: &str) -> Result<&Column> {
        self.get(name).ok_or_else(|| file.corrupt(format!("a column {name}")))
    }
}

impl Columns {
    pub fn kept_in(cache: Arc<ColumnCache>) -> Self {
        let reader = cache.enter();
        Columns(Some((cache, reader)))
    }

    pub fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    fn get(&self, places: impl IntoIterator<Item = Place>) -> Vec<Option<Piece>> {
        self.0.as_ref().map(|(cache, reader)| cache.get(*reader, places)).unwrap_or_default()
    }

    fn put(&self, place: Place, piece: Piece) {
        if let Some((cache, reader)) = &self.0 {
            cache.put(*reader, place, piece);
        }
    }

    /// Groups of times that are kept.
    pub fn times(&self, groups: &[u32]) -> impl Iterator<Item = (u32, Arc<Vec<i64>>)> {
        let kept = self.get(groups.iter().map(|g| Place::Times(*g)));
        kept.into_iter().zip(groups).filter_map(|(piece, group)| match piece {
            Some(Piece::Times(times)) => Some((*group, times)),
            _ => None,
        })
    }

    pub fn keep_times(&self, group: u32, times: &Arc<Vec<i64>>) {
        self.put(Place::Times(group), Piece::Times(times.clone()));
    }

    /// Columns of a row group, each once; what is not kept is read in one go.
    pub async fn load(&self, file: &File, group: usize, names: &[String]) -> Result<Table> {
        let mut indexes = Vec::with_capacity(names.len());
        for n in names {
            indexes.push(file.column(n).ok_or_else(|| file.corrupt(format!("a column {n}")))?);
        }
        let place = |column: &usize| Place::Column { row_group: group as u32, column: *column as u32 };
        let mut table = HashMap::with_capacity(names.len());
        let mut missing: Vec<(&String, usize)> = Vec::new();
        let kept = self.get(indexes.iter().map(place));
        for (i, (name, index)) in names.iter().zip(&indexes).enumerate() {
            match kept.get(i) {
                Some(Some(Piece::Column(column))) => _ = table.insert(name.clone(), column.clone()),
                _ => missing.push((name, *index)),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let mut made: Vec<Building> = missing.iter().map(|_| Building::default()).collect();
            let mut batches =
                file.stream(vec![group], missing.iter().map(|(_, index)| *index), None, BATCH_ROWS)?;
            while let Some(batch) = batches.try_next().await.map_err(|e| file.source.parquet_error(e))? {
                for (building, (name, _)) in made.iter_mut().zip(&missing) {
                    building.add(file, &batch, name)?;
                }
            }
            for (building, (name, index)) in made.into_iter().zip(missing) {
                let column = Arc::new(building.finish());
                self.put(place(&index), Piece::Column(column.clone()));
                table.insert(name.clone(), column);
            }
        }
        Ok(Table(table))
    }
}

/// A column while its batches come.
#[derive(Default)]
struct Building {
    values: Vec<Option<i64>>,
    /// Of a dictionary: each text once, over all batches.
    positions: HashMap<Box<str>, i64>,
    texts: Vec<Box<str>>,
}

impl Building {
    /// Numbers as they are, texts by their positions, of bytes whether there are any.
    fn add(&mut self, file: &File, batch: &RecordBatch, name: &str) -> Result<()> {
        let rows = 0..batch.num_rows();
        match column(file, batch, name)?.data_type() {
            DataType::UInt32 => {
                let a = primitive::<UInt32Type>(file, batch, name)?;
                self.values.extend(rows.map(|row| at(a, row).map(i64::from)));
            }
            DataType::Timestamp(..) => {
                let a = primitive::<TimestampMillisecondType>(file, batch, name)?;
                self.values.extend(rows.map(|row| at(a, row)));
            }
            DataType::Binary => {
                let a = binary(file, batch, name)?;
                self.values.extend(rows.map(|row| bytes_at(a, row).map(|_| 1)));
            }
            _ => self.add_texts(&Dictionary::of(file, batch, name)?, batch.num_rows()),
        }
        Ok(())
    }

    fn add_texts(&mut self, d: &Dictionary<'_>, rows: usize) {
        let mut here: HashMap<usize, Option<i64>> = HashMap::new();
        for row in 0..rows {
            let position = d.key(row).and_then(|key| {
                *here.entry(key).or_insert_with(|| {
                    let text = d.value(key)?;
                    if let Some(known) = self.positions.get(text) {
                        return Some(*known);
                    }
                    let next = self.texts.len() as i64;
                    self.texts.push(text.into());
                    self.positions.insert(text.into(), next);
                    Some(next)
                })
            });
            self.values.push(position);
        }
    }

    fn finish(mut self) -> Column {
        self.texts.shrink_to_fit();
        match self.texts.is_empty() {
            true => Column::of_numbers(self.values),
            false => Column::of_texts(self.values, self.texts),
        }
    }
}
