//! What stands in the queue: groups of parts, and now and then the ids of the units that were queued lately. Integers are
//! little-endian; the log around it has the checksums.
//!
//! ```text
//! kind 1, group := version u8 (2) | at u64 | n u32 | n × part
//! part          := received_ns i64 | unit id u128, 0 for none | class u8
//!                | n u16 × (name: length u8, bytes | before u64) | items u32 | length u32 | that many bytes
//!
//! kind 2, ids   := version u8 (2) | at u64 | n u32 | n × (unit id u128, received_s u32)
//! ```
//! `at` counts the payload bytes of everything queued before, over the life of the queue: the distance between two
//! places. The bytes of a part are one unit of one batch in `wire::native`, or a frame of zstd (RFC 8878) of one, which its
//! magic number tells. `before` is how many items were queued before for this destination and class, so that whatever may
//! be missing is known to the item.
//!
//! Version rule: readers refuse versions they do not know; a new layout is a new number. In version 1 nothing was packed.

use bytes::Bytes;
use thiserror::Error;

use crate::Class;

pub(crate) const GROUP: u8 = 1;
pub(crate) const IDS: u8 = 2;
const VERSION: u8 = 2;
const FIRST: u8 = 1;
/// Of a frame of zstd. Units begin with their version, a small number.
const PACKED: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Smaller units do not become much smaller.
const PACK_FROM: usize = 512;
/// What a part may hold once it is unpacked: more than any request that is taken.
const MAX_UNPACKED: usize = 1 << 30;

/// A copy on its way: items of one tenant and class, for the destinations named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) received_ns: i64,
    /// Of the unit it was taken from.
    pub(crate) unit: u128,
    pub(crate) class: Class,
    /// Each with the items queued for it and this class before.
    pub(crate) to: Vec<(String, u64)>,
    pub(crate) items: u32,
    pub(crate) bytes: Bytes,
}

impl Part {
    /// A unit as a part holds it: a link that is down for hours should not need a disk for what was sent in hours.
    pub(crate) fn pack(unit: Vec<u8>) -> Bytes {
        if unit.len() < PACK_FROM {
            return unit.into();
        }
        match zstd::bulk::compress(&unit, 1) {
            Ok(packed) if packed.len() < unit.len() => packed.into(),
            _ => unit.into(),
        }
    }

    /// The unit of it.
    ///
    /// # Errors
    /// A frame that cannot be unpacked.
    pub(crate) fn unit(&self) -> Result<Bytes, FrameError> {
        if !self.bytes.starts_with(&PACKED) {
            return Ok(self.bytes.clone());
        }
        let length = self.unit_bytes();
        if length > MAX_UNPACKED {
            return Err(invalid("length of a unit", length));
        }
        zstd::bulk::decompress(&self.bytes, length).map(Bytes::from).map_err(|e| invalid("packed unit", e))
    }

    /// Bytes of the unit once it is unpacked, as its frame says.
    pub(crate) fn unit_bytes(&self) -> usize {
        let said = || zstd::zstd_safe::get_frame_content_size(&self.bytes).ok().flatten();
        match self.bytes.starts_with(&PACKED) {
            true => said().map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)),
            false => self.bytes.len(),
        }
    }

    pub(crate) fn before(&self, destination: &str) -> Option<u64> {
        self.to.iter().find(|(name, _)| name == destination).map(|(_, before)| *before)
    }
}

/// Parts that became durable together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    pub(crate) at: u64,
    pub(crate) parts: Vec<Part>,
}

/// Ids of units with the second of their receipt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ids {
    pub(crate) at: u64,
    pub(crate) units: Vec<(u128, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("the frame ends inside {0}")]
    Short(&'static str),
    #[error("the frame has version {0}, this program reads versions {FIRST} to {VERSION}")]
    Version(u8),
    #[error("{what} of the frame is not valid: {value}")]
    Invalid { what: &'static str, value: String },
}

impl Group {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let size: usize = self.parts.iter().map(|p| p.bytes.len() + 64 + p.to.len() * 32).sum();
        let mut out = begin(self.at, self.parts.len(), size);
        for p in &self.parts {
            out.extend(p.received_ns.to_le_bytes());
            out.extend(p.unit.to_le_bytes());
            out.push(p.class.number());
            out.extend((p.to.len() as u16).to_le_bytes());
            for (name, before) in &p.to {
                out.push(name.len() as u8);
                out.extend(name.as_bytes());
                out.extend(before.to_le_bytes());
            }
            out.extend(p.items.to_le_bytes());
            out.extend((p.bytes.len() as u32).to_le_bytes());
            out.extend(&p.bytes);
        }
        out
    }

    /// Takes memory in proportion to `payload`; the parts share it.
    pub(crate) fn decode(payload: &Bytes) -> Result<Self, FrameError> {
        let (mut r, at, n) = Reader::begin(payload)?;
        let mut parts = Vec::new();
        for _ in 0..n {
            let received_ns = i64::from_le_bytes(r.array("the time of receipt")?);
            let unit = u128::from_le_bytes(r.array("the id of a unit")?);
            let [class] = r.array("the class")?;
            let class = Class::from_number(class).ok_or_else(|| invalid("class", class))?;
            let n = u16::from_le_bytes(r.array("the destinations")?);
            let mut to = Vec::new();
            for _ in 0..n {
                let [length] = r.array("the name of a destination")?;
                let name = r.take(usize::from(length), "the name of a destination")?;
                let name = std::str::from_utf8(&name).map_err(|e| invalid("destination", e))?;
                to.push((name.to_owned(), u64::from_le_bytes(r.array("the items before")?)));
            }
            let items = u32::from_le_bytes(r.array("the number of items")?);
            let length = u32::from_le_bytes(r.array("the length of a part")?);
            let bytes = r.take(length as usize, "a part")?;
            parts.push(Part { received_ns, unit, class, to, items, bytes });
        }
        r.end()?;
        Ok(Group { at, parts })
    }
}

impl Ids {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = begin(self.at, self.units.len(), self.units.len() * 20);
        for (id, seconds) in &self.units {
            out.extend(id.to_le_bytes());
            out.extend(seconds.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(payload: &Bytes) -> Result<Self, FrameError> {
        let (mut r, at, n) = Reader::begin(payload)?;
        let mut units = Vec::new();
        for _ in 0..n {
            let id = u128::from_le_bytes(r.array("the id of a unit")?);
            units.push((id, u32::from_le_bytes(r.array("a second")?)));
        }
        r.end()?;
        Ok(Ids { at, units })
    }
}

/// Where a frame of any kind begins.
pub(crate) fn at(payload: &Bytes) -> Result<u64, FrameError> {
    Reader::begin(payload).map(|(_, at, _)| at)
}

fn begin(at: u64, n: usize, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(13 + size);
    out.push(VERSION);
    out.extend(at.to_le_bytes());
    out.extend((n as u32).to_le_bytes());
    out
}

fn invalid(what: &'static str, value: impl ToString) -> FrameError {
    FrameError::Invalid { what, value: value.to_string() }
}

struct Reader<'a> {
    payload: &'a Bytes,
    offset: usize,
}

impl<'a> Reader<'a> {
    fn begin(payload: &'a Bytes) -> Result<(Self, u64, u32), FrameError> {
        let mut r = Reader { payload, offset: 0 };
        let [version] = r.array("its version")?;
        if version != VERSION && version != FIRST {
            return Err(FrameError::Version(version));
        }
        let at = u64::from_le_bytes(r.array("its place")?);
        let n = u32::from_le_bytes(r.array("its count")?);
        Ok((r, at, n))
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<Bytes, FrameError> {
        let end = self.offset.saturating_add(length);
        if end > self.payload.len() {
            return Err(FrameError::Short(what));
        }
        let bytes = self.payload.slice(self.offset..end);
        self.offset = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FrameError> {
        let end = self.offset.saturating_add(N);
        let bytes = self.payload.get(self.offset..end).and_then(|b| b.try_into().ok());
        self.offset = end;
        bytes.ok_or(FrameError::Short(what))
    }

    fn end(&self) -> Result<(), FrameError> {
        match self.payload.len() - self.offset {
            0 => Ok(()),
            left => Err(invalid("end", format!("{left} bytes follow"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Part> {
        let to = prop::collection::vec(("[a-z]{1,9}", any::<u64>()), 0..4);
        let bytes = prop::collection::vec(any::<u8>(), 0..40);
        (any::<i64>(), any::<u128>(), 0u8..4, to, any::<u32>(), bytes).prop_map(
            |(received_ns, unit, class, to, items, bytes)| Part {
                received_ns,
                unit,
                class: Class::from_number(class).unwrap(),
                to,
                items,
                bytes: bytes.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn groups_come_back_as_they_were(at: u64, parts in prop::collection::vec(part(), 0..5)) {
            let group = Group { at, parts };
            prop_assert_eq!(Group::decode(&group.encode().into()), Ok(group));
        }

        #[test]
        fn ids_come_back_as_they_were(at: u64, units: Vec<(u128, u32)>) {
            let ids = Ids { at, units };
            prop_assert_eq!(Ids::decode(&ids.encode().into()), Ok(ids));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = (Group::decode(&bytes), Ids::decode(&bytes), at(&bytes));
        }

        #[test]
        fn a_cut_frame_is_refused(parts in prop::collection::vec(part(), 1..4), cut in 1usize..30) {
            let whole = Group { at: 7, parts }.encode();
            let cut = Bytes::copy_from_slice(&whole[..whole.len().saturating_sub(cut)]);
            prop_assert!(Group::decode(&cut).is_err());
        }
    }

    #[test]
    fn a_unit_is_packed_where_it_pays_and_comes_back_as_it_was() {
        let of = |unit: &[u8]| {
            let bytes = Part::pack(unit.to_vec());
            Part { received_ns: 0, unit: 0, class: Class::Logs, to: Vec::new(), items: 1, bytes }
        };
        let (small, random) = (
            vec![3u8; 100],
            (0u32..4000).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>(),
        );
        let repeated = b"GET /cart 200 ".repeat(500);
        for unit in [&small, &random, &repeated] {
            let part = of(unit);
            assert_eq!((part.unit().unwrap(), part.unit_bytes()), (Bytes::from(unit.clone()), unit.len()));
        }
        assert!(of(&repeated).bytes.len() < repeated.len() / 10);
        let mut broken = of(&repeated);
        broken.bytes = broken.bytes.slice(..broken.bytes.len() - 5);
        assert!(broken.unit().is_err());
        broken.bytes = Bytes::from_static(&PACKED);
        assert!(broken.unit().is_err());
    }

    #[test]
    fn version_1_is_read() {
        let group = Group { at: 5, parts: Vec::new() };
        let mut bytes = group.encode();
        bytes[0] = FIRST;
        assert_eq!(Group::decode(&bytes.into()), Ok(group));
    }

    #[test]
    fn version_2_is_these_bytes() {
        let group = Group {
            at: 5,
            parts: vec![Part {
                received_ns: 1,
                unit: 2,
                class: Class::Logs,
                to: vec![("hub".to_owned(), 9)],
                items: 3,
                bytes: Bytes::from_static(b"xy"),
            }],
        };
        let hex: String = group.encode().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "020500000000000000010000000100000000000000020000000000000000000000000000000301000368756209000000\
             0000000003000000020000007879"
        );
    }
}
