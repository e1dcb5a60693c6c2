//! What a trace segment holds by name: services, operations, attributes. For a range that takes in the whole
//! segment the tables beside the rows answer; for a part of it the rows do, by the few columns that matter.

use std::collections::BTreeSet;

use arrow::{
    array::BooleanArray,
    compute::filter_record_batch,
    datatypes::{UInt8Type, UInt32Type},
    record_batch::RecordBatch,
};
use contract::{SpanField, SpanScope, SpanValue};
use model::{Attributes, SpanKind, TimeRange, span::SpanOrigin};

pub use super::tables::Keys;
use super::{
    Reader, Selection,
    conditions::{self, Looked},
    decode,
    reader::{FILTER_ROWS, Inner},
    tables::{Services, keys_of_origin, read_keys, read_scoped_keys, read_services},
};
use crate::{
    Result,
    arrays::{Dictionary, at, primitive, str_at, strings},
    attrs,
};

impl Reader {
    /// Names of services with a span that begins in the range, sorted.
    pub async fn services(&self, range: TimeRange) -> Result<Vec<String>> {
        Ok(self.0.services(range).await?.into_keys().collect())
    }

    /// Names of spans that begin in the range, of one service or all, of one kind or all. Sorted, distinct.
    pub async fn operations(
        &self,
        range: TimeRange,
        service: Option<&str>,
        kind: Option<SpanKind>,
    ) -> Result<Vec<String>> {
        let all = self.0.services(range).await?;
        let mut names = BTreeSet::new();
        for (_, of_service) in all.into_iter().filter(|(s, _)| service.is_none_or(|w| w == s)) {
            let wanted = |kinds: &BTreeSet<i32>| kind.is_none_or(|k| kinds.contains(&k.number()));
            names.extend(of_service.into_iter().filter(|(_, kinds)| wanted(kinds)).map(|(name, _)| name));
        }
        Ok(names.into_iter().collect())
    }

    /// Keys of span and resource attributes of spans that begin in the range, sorted.
    pub async fn attribute_keys(&self, range: TimeRange) -> Result<Vec<String>> {
        let inner = &self.0;
        if inner.is_within(range) {
            return read_keys(&inner.file).await;
        }
        let plan = &inner.layout.attributes;
        let columns = plan.names().chain(["origin".to_owned()]).collect();
        let (mut keys, mut origins) = (BTreeSet::new(), BTreeSet::new());
        let each = |batch: &RecordBatch| {
            for attributes in attrs::decode(&inner.file, plan, batch)? {
                for (k, _) in attributes.iter() {
                    if !keys.contains(k) {
                        keys.insert(k.to_owned());
                    }
                }
            }
            inner.origins_of(batch, &mut origins)?;
            Ok(true)
        };
        inner.visit(range, columns, each).await?;
        inner
            .each_origin(&origins, |o| keys.extend(o.resource.attributes.iter().map(|(k, _)| k.to_owned())))
            .await?;
        Ok(keys.into_iter().collect())
    }

    /// Values of a span or resource attribute of spans that begin in the range, as text, sorted, distinct, at
    /// most `limit` of them.
    pub async fn attribute_values(&self, range: TimeRange, key: &str, limit: usize) -> Result<Vec<String>> {
        let inner = &self.0;
        let plan = &inner.layout.attributes;
        let own = plan.columns.iter().find(|c| c.key == key).map(|c| c.name());
        let columns = own.into_iter().chain([attrs::REST.to_owned(), "origin".to_owned()]).collect();
        let (mut values, mut origins) = (BTreeSet::new(), BTreeSet::new());
        let each = |batch: &RecordBatch| {
            inner.origins_of(batch, &mut origins)?;
            attrs::values_of(&inner.file, plan, batch, key, |v| {
                if values.len() < limit {
                    values.insert(v);
                }
            })?;
            Ok(values.len() < limit)
        };
        inner.visit(range, columns, each).await?;
        let of = |o: &SpanOrigin| {
            o.resource
                .attributes
                .iter()
                .filter(|(k, _)| *k == key)
                .map(|(_, v)| v.to_string())
                .collect::<Vec<_>>()
        };
        inner.each_origin(&origins, |o| values.extend(of(o))).await?;
        Ok(values.into_iter().take(limit).collect())
    }
}

impl Reader {
    /// Keys of attributes of spans that begin in the range, by where they stand.
    pub async fn scoped_keys(&self, range: TimeRange) -> Result<Keys> {
        let inner = &self.0;
        if inner.is_within(range)
            && let Some(keys) = read_scoped_keys(&inner.file).await?
        {
            return Ok(keys);
        }
        let plan = &inner.layout.attributes;
        let columns = plan.names().chain(["origin", "events", "links"].map(str::to_owned)).collect();
        let (mut keys, mut origins) = (Keys::new(), BTreeSet::new());
        let each = |batch: &RecordBatch| {
            let mut add = |scope, a: &Attributes| keys.extend(a.iter().map(|(k, _)| (scope, k.to_owned())));
            attrs::decode(&inner.file, plan, batch)?.iter().for_each(|a| add(SpanScope::Span, a));
            let (events, links) =
                (strings(&inner.file, batch, "events")?, strings(&inner.file, batch, "links")?);
            for row in 0..batch.num_rows() {
                let events = decode::events(&inner.file, str_at(events, row))?;
                events.iter().for_each(|e| add(SpanScope::Event, &e.attributes));
                let links = decode::links(&inner.file, str_at(links, row))?;
                links.iter().for_each(|l| add(SpanScope::Link, &l.attributes));
            }
            inner.origins_of(batch, &mut origins)?;
            Ok(true)
        };
        inner.visit(range, columns, each).await?;
        inner.each_origin(&origins, |o| keys_of_origin(o, &mut keys)).await?;
        Ok(keys)
    }

    /// Adds the values that a field has in the selected spans, until there are `limit`.
    pub async fn values(
        &self,
        selection: &Selection,
        field: &SpanField,
        limit: usize,
        values: &mut BTreeSet<SpanValue>,
    ) -> Result<()> {
        let inner = &self.0;
        let mut columns = BTreeSet::new();
        let shape = inner.shape().await?;
        conditions::add_columns(shape, field, &mut columns);
        let origins = inner.origins().await?;
        let each = |batch: &RecordBatch| {
            let looked = Looked { file: &inner.file, shape, origins: &origins, batch };
            looked.values(field, values)?;
            Ok(values.len() < limit)
        };
        inner.visit_selected(selection, columns.into_iter().collect(), each).await
    }
}

impl Inner {
    /// Whether every span begins in the range.
    fn is_within(&self, range: TimeRange) -> bool {
        let held = self.file.info.range;
        range.start <= held.start && held.end <= range.end
    }

    async fn services(&self, range: TimeRange) -> Result<Services> {
        if self.is_within(range) {
            return read_services(&self.file).await;
        }
        let mut found = Services::new();
        let columns = ["service", "name", "kind"].map(str::to_owned).into();
        let each = |batch: &RecordBatch| {
            let service = Dictionary::of(&self.file, batch, "service")?;
            let name = Dictionary::of(&self.file, batch, "name")?;
            let kind = primitive::<UInt8Type>(&self.file, batch, "kind")?;
            let seen: BTreeSet<_> = (0..batch.num_rows())
                .filter_map(|row| Some((service.key(row)?, name.key(row)?, at(kind, row)?)))
                .collect();
            for (s, n, kind) in seen {
                if let (Some(s), Some(n)) = (service.value(s), name.value(n)) {
                    let names = found.entry(s.to_owned()).or_default();
                    names.entry(n.to_owned()).or_default().insert(i32::from(kind));
                }
            }
            Ok(true)
        };
        self.visit(range, columns, each).await?;
        Ok(found)
    }

    /// Hands over the rows that begin in the range, with these columns, a bounded number at a time, until the
    /// answer is false.
    async fn visit(
        &self,
        range: TimeRange,
        columns: Vec<String>,
        each: impl FnMut(&RecordBatch) -> Result<bool>,
    ) -> Result<()> {
        self.visit_selected(&Selection::new(range), columns, each).await
    }

    /// The same of rows that are selected.
    async fn visit_selected(
        &self,
        selection: &Selection,
        columns: Vec<String>,
        mut each: impl FnMut(&RecordBatch) -> Result<bool>,
    ) -> Result<()> {
        let mut names = conditions::columns(self.shape().await?, selection);
        names.extend(decode::filter_columns(selection).into_iter().map(str::to_owned));
        names.extend(columns);
        let columns = self.indexes(names)?;
        for (group, rows) in self.candidates(None, selection).await? {
            let rows = rows.selection(self.file.rows_in(group));
            let mut batches =
                self.file.stream(vec![group], columns.iter().copied(), Some(rows), FILTER_ROWS)?;
            while let Some(batch) = self.next(&mut batches).await? {
                let mask = BooleanArray::from(self.mask(&batch, selection).await?);
                let inside = filter_record_batch(&batch, &mask)
                    .map_err(|e| self.file.corrupt(format!("columns of equal length: {e}")))?;
                if inside.num_rows() > 0 && !each(&inside)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn origins_of(&self, batch: &RecordBatch, origins: &mut BTreeSet<u32>) -> Result<()> {
        let column = primitive::<UInt32Type>(&self.file, batch, "origin")?;
        origins.extend((0..batch.num_rows()).filter_map(|row| at(column, row)));
        Ok(())
    }

    async fn each_origin(&self, numbers: &BTreeSet<u32>, mut each: impl FnMut(&SpanOrigin)) -> Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        let table = self.origins().await?;
        numbers.iter().filter_map(|n| table.get(*n as usize)).for_each(&mut each);
        Ok(())
    }
}
