//! Apache Thrift's binary and compact protocols over a byte slice, as far as a reader of structs needs them
//! (`thrift/doc/specs/thrift-binary-protocol.md`, `thrift-compact-protocol.md`).
//!
//! ```text
//!            binary, big endian                    compact
//! field   := kind u8 | id i16 | value              delta and kind, 4 bits each (delta 0: zigzag id) | value
//! stop    := 0                                     0
//! bool    := u8                                    in the field's kind; one byte in a list
//! integer := 1, 2, 4 or 8 bytes                    byte as it is, others zigzag varint
//! double  := 8 bytes                               8 bytes, little endian
//! binary  := length i32 | bytes                    varint length | bytes
//! list    := kind u8 | count i32 | values          count and kind, 4 bits each (count 15: varint count) | values
//! map     := kind u8, kind u8 | count i32 | pairs  varint count | kinds, 4 bits each, unless empty | pairs
//! ```
//! Nothing is allocated before the bytes it is made of were seen: a count larger than the bytes that are left is an
//! error, since every value takes one at least. What is not asked for is skipped, down to [`MAX_DEPTH`].

use std::borrow::Cow;

use thiserror::Error;

use crate::protobuf;

/// How deep structs, lists and maps may nest in what is skipped; no definition that is read here comes close.
const MAX_DEPTH: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Binary,
    Compact,
}

/// What is wrong with the bytes, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("{why} at byte {at}")]
    Broken { why: &'static str, at: usize },
    #[error("field {id} has another type than its definition at byte {at}")]
    OtherKind { id: i16, at: usize },
    #[error("{what} is missing before byte {at}")]
    Missing { what: &'static str, at: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    Struct,
    Map,
    Set,
    List,
    Uuid,
}

/// The head of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub id: i16,
    kind: Kind,
    /// In the compact protocol the head of a boolean is its value too.
    truth: Option<bool>,
}

/// A place in the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    protocol: Protocol,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], protocol: Protocol) -> Self {
        Reader { bytes, at: 0, protocol }
    }

    /// Bytes not read yet.
    pub(crate) fn rest(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn broken(&self, why: &'static str) -> Fault {
        Fault::Broken { why, at: self.at }
    }

    pub(crate) fn missing(&self, what: &'static str) -> Fault {
        Fault::Missing { what, at: self.at }
    }

    /// The next field of the struct that is being read, none at its end. `last` is 0 at its begin and then left alone.
    pub(crate) fn field(&mut self, last: &mut i16) -> Result<Option<Field>, Fault> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let (id, number) = match self.protocol {
            Protocol::Binary => (i16::from_be_bytes(self.array()?), head),
            Protocol::Compact if head >> 4 == 0 => (self.small("a field id does not fit 16 bits")?, head),
            Protocol::Compact => {
                let id = last.checked_add(i16::from(head >> 4));
                (id.ok_or_else(|| self.broken("a field id does not fit 16 bits"))?, head & 0xf)
            }
        };
        *last = id;
        let truth = (self.protocol == Protocol::Compact && number <= 2).then_some(number == 1);
        Ok(Some(Field { id, kind: self.kind(number)?, truth }))
    }

    pub(crate) fn bool(&mut self, f: Field) -> Result<bool, Fault> {
        self.expect(f, Kind::Bool)?;
        match f.truth {
            Some(truth) => Ok(truth),
            None => Ok(self.byte()? == 1),
        }
    }

    pub(crate) fn i32(&mut self, f: Field) -> Result<i32, Fault> {
        self.expect(f, Kind::I32)?;
        match self.protocol {
            Protocol::Binary => Ok(i32::from_be_bytes(self.array()?)),
            Protocol::Compact => self.small("an integer does not fit 32 bits"),
        }
    }

    pub(crate) fn i64(&mut self, f: Field) -> Result<i64, Fault> {
        self.expect(f, Kind::I64)?;
        match self.protocol {
            Protocol::Binary => Ok(i64::from_be_bytes(self.array()?)),
            Protocol::Compact => Ok(protobuf::zigzag(self.varint()?)),
        }
    }

    pub(crate) fn double(&mut self, f: Field) -> Result<f64, Fault> {
        self.expect(f, Kind::Double)?;
        match self.protocol {
            Protocol::Binary => Ok(f64::from_be_bytes(self.array()?)),
            Protocol::Compact => Ok(f64::from_le_bytes(self.array()?)),
        }
    }

    pub(crate) fn binary(&mut self, f: Field) -> Result<&'a [u8], Fault> {
        self.expect(f, Kind::Binary)?;
        self.block()
    }

    /// A text. Thrift does not promise UTF-8; what is none of it is replaced, so that it costs no other text.
    pub(crate) fn text(&mut self, f: Field) -> Result<Cow<'a, str>, Fault> {
        Ok(String::from_utf8_lossy(self.binary(f)?))
    }

    /// Goes into a field that is a struct.
    pub(crate) fn structure(&mut self, f: Field) -> Result<(), Fault> {
        self.expect(f, Kind::Struct)
    }

    /// Goes into a field that is a list of structs and says how many follow.
    pub(crate) fn structs(&mut self, f: Field) -> Result<usize, Fault> {
        self.expect(f, Kind::List)?;
        let (number, count) = self.list_head()?;
        if count > 0 && self.kind(number)? != Kind::Struct {
            return Err(Fault::OtherKind { id: f.id, at: self.at });
        }
        Ok(count)
    }

    /// Moves past the value of a field.
    pub(crate) fn skip(&mut self, f: Field) -> Result<(), Fault> {
        match f.truth {
            Some(_) => Ok(()),
            None => self.skip_value(f.kind, MAX_DEPTH),
        }
    }

    fn skip_value(&mut self, kind: Kind, deeper: u32) -> Result<(), Fault> {
        let Some(deeper) = deeper.checked_sub(1) else {
            return Err(self.broken("values are nested too deep"));
        };
        match kind {
            Kind::Bool | Kind::Byte => self.take(1).map(drop),
            Kind::I16 | Kind::I32 | Kind::I64 if self.protocol == Protocol::Compact => {
                self.varint().map(drop)
            }
            Kind::I16 => self.take(2).map(drop),
            Kind::I32 => self.take(4).map(drop),
            Kind::I64 | Kind::Double => self.take(8).map(drop),
            Kind::Uuid => self.take(16).map(drop),
            Kind::Binary => self.block().map(drop),
            Kind::Struct => self.skip_struct(deeper),
            Kind::Set | Kind::List => {
                let (number, count) = self.list_head()?;
                self.skip_many(&[number], count, deeper)
            }
            Kind::Map => {
                let (kinds, count) = self.map_head()?;
                self.skip_many(&kinds, count, deeper)
            }
        }
    }

    fn skip_struct(&mut self, deeper: u32) -> Result<(), Fault> {
        let mut last = 0;
        while let Some(f) = self.field(&mut last)? {
            if f.truth.is_none() {
                self.skip_value(f.kind, deeper)?;
            }
        }
        Ok(())
    }

    /// Skips `count` times one value of each kind.
    fn skip_many(&mut self, numbers: &[u8], count: usize, deeper: u32) -> Result<(), Fault> {
        for _ in 0..count {
            for number in numbers {
                let kind = self.kind(*number)?;
                self.skip_value(kind, deeper)?;
            }
        }
        Ok(())
    }

    fn list_head(&mut self) -> Result<(u8, usize), Fault> {
        let head = self.byte()?;
        match self.protocol {
            Protocol::Binary => {
                let count = i32::from_be_bytes(self.array()?);
                Ok((head, self.count(usize::try_from(count))?))
            }
            Protocol::Compact if head >> 4 == 15 => {
                let count = self.varint()?;
                Ok((head & 0xf, self.count(usize::try_from(count))?))
            }
            Protocol::Compact => Ok((head & 0xf, self.count(Ok::<_, ()>(usize::from(head >> 4)))?)),
        }
    }

    fn map_head(&mut self) -> Result<([u8; 2], usize), Fault> {
        match self.protocol {
            Protocol::Binary => {
                let kinds = self.array()?;
                let count = i32::from_be_bytes(self.array()?);
                Ok((kinds, self.count(usize::try_from(count))?))
            }
            Protocol::Compact => {
                let count = self.varint()?;
                let count = self.count(usize::try_from(count))?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                Ok(([kinds >> 4, kinds & 0xf], count))
            }
        }
    }

    /// A count that the bytes left can hold.
    fn count<E>(&self, count: Result<usize, E>) -> Result<usize, Fault> {
        let fits = count.ok().filter(|n| *n <= self.rest());
        fits.ok_or_else(|| self.broken("a count goes past the end"))
    }

    fn block(&mut self) -> Result<&'a [u8], Fault> {
        let length = match self.protocol {
            Protocol::Binary => usize::try_from(i32::from_be_bytes(self.array()?)).ok(),
            Protocol::Compact => usize::try_from(self.varint()?).ok(),
        };
        let length = length.filter(|n| *n <= self.rest());
        let length = length.ok_or_else(|| self.broken("a length goes past the end"))?;
        self.take(length)
    }

    fn expect(&self, f: Field, kind: Kind) -> Result<(), Fault> {
        if f.kind == kind { Ok(()) } else { Err(Fault::OtherKind { id: f.id, at: self.at }) }
    }

    /// A zigzag varint that fits a smaller integer.
    fn small<T: TryFrom<i64>>(&mut self, why: &'static str) -> Result<T, Fault> {
        let value = protobuf::zigzag(self.varint()?);
        T::try_from(value).map_err(|_| self.broken(why))
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let value = protobuf::take_varint(&mut rest).map_err(|why| self.broken(why))?;
        self.at = self.bytes.len().saturating_sub(rest.len());
        Ok(value)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.broken("the message ends inside a value"))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(n);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.broken("the message ends inside a value"))?;
        self.at += n;
        Ok(taken)
    }

    fn kind(&self, number: u8) -> Result<Kind, Fault> {
        let kind = match self.protocol {
            Protocol::Binary => match number {
                2 => Kind::Bool,
                3 => Kind::Byte,
                4 => Kind::Double,
                6 => Kind::I16,
                8 => Kind::I32,
                10 => Kind::I64,
                11 => Kind::Binary,
                12 => Kind::Struct,
                13 => Kind::Map,
                14 => Kind::Set,
                15 => Kind::List,
                16 => Kind::Uuid,
                _ => return Err(self.broken("a type is not known")),
            },
            Protocol::Compact => match number {
                1 | 2 => Kind::Bool,
                3 => Kind::Byte,
                4 => Kind::I16,
                5 => Kind::I32,
                6 => Kind::I64,
                7 => Kind::Double,
                8 => Kind::Binary,
                9 => Kind::List,
                10 => Kind::Set,
                11 => Kind::Map,
                12 => Kind::Struct,
                13 => Kind::Uuid,
                _ => return Err(self.broken("a type is not known")),
            },
        };
        Ok(kind)
    }
}

#[cfg(test)]
pub(crate) mod tests;
