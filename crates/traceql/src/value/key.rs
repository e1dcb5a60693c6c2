//! Values as keys of groups: equal are those of one type and value, floats by their bits.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::Value;

/// A copy that borrows nothing.
fn owned(v: &Value<'_>) -> Value<'static> {
    match v {
        Value::Nil => Value::Nil,
        Value::Int(i) => Value::Int(*i),
        Value::Float(f) => Value::Float(*f),
        Value::Bool(b) => Value::Bool(*b),
        Value::Str(s) => Value::Str(Cow::Owned(s.to_string())),
        Value::Duration(d) => Value::Duration(*d),
        Value::Status(s) => Value::Status(*s),
        Value::Kind(k) => Value::Kind(*k),
        Value::Opaque(v) => Value::Opaque(Cow::Owned(v.as_ref().clone())),
        Value::Array(all) => Value::Array(Cow::Owned(all.to_vec())),
        Value::Many(all) => Value::Many(all.iter().map(owned).collect()),
    }
}

fn hash_into(v: &Value<'_>, h: &mut DefaultHasher) {
    match v {
        Value::Nil => h.write_u8(0),
        Value::Int(i) => (1u8, i).hash(h),
        Value::Float(f) => (2u8, f.to_bits()).hash(h),
        Value::Bool(b) => (3u8, b).hash(h),
        Value::Str(s) => (4u8, &**s).hash(h),
        Value::Duration(d) => (5u8, d).hash(h),
        Value::Status(s) => (6u8, s).hash(h),
        Value::Kind(k) => (7u8, k).hash(h),
        Value::Opaque(v) => (9u8, v.to_string()).hash(h),
        Value::Array(_) | Value::Many(_) => {
            h.write_u8(8);
            v.elements().into_iter().flatten().for_each(|e| hash_into(&e, h));
        }
    }
}

fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(_), Value::Array(_)) | (Value::Many(_), Value::Many(_)) => {
            let (mut a, mut b) = (a.elements().into_iter().flatten(), b.elements().into_iter().flatten());
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return true,
                    (Some(a), Some(b)) if same(&a, &b) => {}
                    _ => return false,
                }
            }
        }
        (a, b) => a == b,
    }
}

/// What belongs to each combination of values, in the order they came.
pub(crate) struct Groups<T> {
    by_hash: HashMap<u64, Vec<usize>>,
    all: Vec<(Vec<Value<'static>>, T)>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Groups { by_hash: HashMap::new(), all: Vec::new() }
    }
}

impl<T> Groups<T> {
    /// The group of these values, and whether it is new.
    pub fn entry(&mut self, key: &[Value<'_>], new: impl FnOnce() -> T) -> (&mut T, bool) {
        let mut h = DefaultHasher::new();
        key.iter().for_each(|v| hash_into(v, &mut h));
        let known = self.by_hash.entry(h.finish()).or_default();
        let equal = |i: &&usize| {
            let theirs = self.all.get(**i).map_or(&[][..], |(k, _)| k);
            theirs.len() == key.len() && theirs.iter().zip(key).all(|(a, b)| same(a, b))
        };
        let found = known.iter().find(equal).copied();
        let at = found.unwrap_or(self.all.len());
        if found.is_none() {
            known.push(at);
            self.all.push((key.iter().map(owned).collect(), new()));
        }
        (&mut self.all[at].1, found.is_none())
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn into_all(self) -> Vec<(Vec<Value<'static>>, T)> {
        self.all
    }
}
