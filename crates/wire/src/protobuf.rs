//! A cursor over protobuf bytes, and its counterpart for writing. Borrowing straight from the body keeps a
//! remote-write request from being copied once per label; everything else uses the generated messages.
//! Wire format: <https://protobuf.dev/programming-guides/encoding/>.

mod span;

pub(crate) use span::bucket_span;

/// What is wrong with the bytes.
pub(crate) type Fault = &'static str;

/// One field's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Fault> {
        match self {
            Value::Bytes(b) => Ok(b),
            _ => Err("a field has another wire type than its definition"),
        }
    }

    pub(crate) fn varint(self) -> Result<u64, Fault> {
        match self {
            Value::Varint(v) => Ok(v),
            _ => Err("a field has another wire type than its definition"),
        }
    }

    pub(crate) fn double(self) -> Result<f64, Fault> {
        match self {
            Value::Fixed64(v) => Ok(f64::from_bits(v)),
            _ => Err("a field has another wire type than its definition"),
        }
    }

    pub(crate) fn str(self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a string is not UTF-8")
    }
}

/// Reads fields in order.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// The next field number and value, `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Fault> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = take_varint(&mut self.0)?;
        let field = u32::try_from(tag >> 3).map_err(|_| "a field number is too large")?;
        let value = match tag & 7 {
            0 => Value::Varint(take_varint(&mut self.0)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => {
                let n = take_varint(&mut self.0)?;
                let n = usize::try_from(n).map_err(|_| "a length goes past the end")?;
                let (head, rest) = self.0.split_at_checked(n).ok_or("a length goes past the end")?;
                self.0 = rest;
                Value::Bytes(head)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take()?)),
            _ => return Err("a wire type is not known"),
        };
        if field == 0 { Err("a field number is 0") } else { Ok(Some((field, value))) }
    }

    /// Bytes not read yet.
    pub(crate) fn rest(&self) -> usize {
        self.0.len()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("the message ends inside a field")?;
        self.0 = rest;
        Ok(*head)
    }
}

/// Reads one varint and moves past it.
#[inline]
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    if let [b, rest @ ..] = *bytes
        && *b < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(*b));
    }
    let mut value = 0u64;
    for (i, b) in bytes.iter().take(10).enumerate() {
        if i == 9 && *b > 1 {
            break;
        }
        value |= u64::from(b & 0x7f) << (7 * i);
        if *b < 0x80 {
            *bytes = bytes.get(i + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { "the message ends inside a varint" } else { "a varint is longer than 64 bits" })
}

/// A message of two strings, as labels are everywhere: a name and a value.
pub(crate) fn name_and_value(body: &[u8]) -> Result<(&str, &str), Fault> {
    let (mut name, mut value) = ("", "");
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => name = v.str()?,
            2 => value = v.str()?,
            _ => {}
        }
    }
    Ok((name, value))
}

pub(crate) fn zigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Appends the doubles of a repeated field, packed or not.
pub(crate) fn push_doubles(out: &mut Vec<f64>, value: Value<'_>, max: usize) -> Result<(), Fault> {
    match value {
        Value::Fixed64(v) if out.len() < max => out.push(f64::from_bits(v)),
        Value::Bytes(b) if b.len() % 8 == 0 && b.len() / 8 <= max.saturating_sub(out.len()) => {
            out.extend(b.as_chunks::<8>().0.iter().map(|c| f64::from_le_bytes(*c)));
        }
        Value::Fixed64(_) | Value::Bytes(_) => return Err("a list of doubles is too long or cut"),
        _ => return Err("a field has another wire type than its definition"),
    }
    Ok(())
}

/// Appends the zigzag integers of a repeated field, packed or not.
pub(crate) fn push_zigzags(out: &mut Vec<i64>, value: Value<'_>, max: usize) -> Result<(), Fault> {
    let mut push = |v| {
        if out.len() >= max {
            return Err("a list of integers is too long");
        }
        out.push(zigzag(v));
        Ok(())
    };
    match value {
        Value::Varint(v) => push(v),
        Value::Bytes(mut b) => {
            while !b.is_empty() {
                push(take_varint(&mut b)?)?;
            }
            Ok(())
        }
        _ => Err("a field has another wire type than its definition"),
    }
}

/// Writes fields; zero values are left out, as proto3 has it.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub(crate) fn put_varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
    }

    fn tag(&mut self, field: u32, wire_type: u8) {
        self.put_varint(u64::from(field) << 3 | u64::from(wire_type));
    }

    pub(crate) fn varint(&mut self, field: u32, v: u64) {
        if v != 0 {
            self.tag(field, 0);
            self.put_varint(v);
        }
    }

    pub(crate) fn zigzag(&mut self, field: u32, v: i64) {
        self.varint(field, ((v << 1) ^ (v >> 63)) as u64);
    }

    pub(crate) fn double(&mut self, field: u32, v: f64) {
        if v.to_bits() != 0 {
            self.tag(field, 1);
            self.0.extend_from_slice(&v.to_le_bytes());
        }
    }

    /// A member of a `oneof`, written even when zero.
    pub(crate) fn double_always(&mut self, field: u32, v: f64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    /// A member of a `oneof`, written even when zero.
    pub(crate) fn varint_always(&mut self, field: u32, v: u64) {
        self.tag(field, 0);
        self.put_varint(v);
    }

    /// A message or a list element, written even when empty.
    pub(crate) fn bytes(&mut self, field: u32, v: &[u8]) {
        self.tag(field, 2);
        self.put_varint(v.len() as u64);
        self.0.extend_from_slice(v);
    }

    pub(crate) fn str(&mut self, field: u32, v: &str) {
        if !v.is_empty() {
            self.bytes(field, v.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_and_zigzags_read_back(v: u64, z: i64) {
            let mut w = Writer::default();
            w.put_varint(v);
            prop_assert_eq!(take_varint(&mut &w.0[..]), Ok(v));
            w.clear();
            w.zigzag(1, z);
            let read = Reader::new(&w.0).next().unwrap();
            prop_assert_eq!(read.map_or(0, |(_, v)| zigzag(v.varint().unwrap())), z);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut r = Reader::new(&bytes);
            while let Ok(Some(_)) = r.next() {}
        }
    }

    #[test]
    fn a_length_past_the_end_and_an_endless_varint_are_faults() {
        assert!(
            Reader::new(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).next().is_err()
        );
        assert!(Reader::new(&[0xff; 12]).next().is_err());
        assert!(Reader::new(&[0x0b]).next().is_err());
    }
}
