//! Thrift as a sender writes it.

use crate::thrift::Protocol;

pub(crate) struct Writer {
    protocol: Protocol,
    pub(crate) bytes: Vec<u8>,
    /// The last field of each struct that is open.
    last: Vec<i16>,
}

/// Types by their numbers: binary, compact.
const DOUBLE: [u8; 2] = [4, 7];
const I32: [u8; 2] = [8, 5];
const I64: [u8; 2] = [10, 6];
const BINARY: [u8; 2] = [11, 8];
const STRUCT: [u8; 2] = [12, 12];
const LIST: [u8; 2] = [15, 9];

impl Writer {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Writer { protocol, bytes: Vec::new(), last: vec![0] }
    }

    fn pick(&self, kinds: [u8; 2]) -> u8 {
        kinds[usize::from(self.protocol == Protocol::Compact)]
    }

    fn head(&mut self, id: i16, kind: u8) {
        let last = self.last.last_mut().unwrap();
        let delta = i32::from(id) - i32::from(*last);
        *last = id;
        match self.protocol {
            Protocol::Binary => {
                self.bytes.push(kind);
                self.bytes.extend(id.to_be_bytes());
            }
            Protocol::Compact if (1..16).contains(&delta) => self.bytes.push((delta as u8) << 4 | kind),
            Protocol::Compact => {
                self.bytes.push(kind);
                self.zigzag(i64::from(id));
            }
        }
    }

    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.bytes.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.bytes.push(v as u8);
    }

    fn zigzag(&mut self, v: i64) {
        self.varint((v << 1 ^ v >> 63) as u64);
    }

    pub(crate) fn bool(&mut self, id: i16, v: bool) {
        match self.protocol {
            Protocol::Binary => {
                self.head(id, 2);
                self.bytes.push(u8::from(v));
            }
            Protocol::Compact => self.head(id, if v { 1 } else { 2 }),
        }
    }

    pub(crate) fn i32(&mut self, id: i16, v: i32) {
        self.head(id, self.pick(I32));
        match self.protocol {
            Protocol::Binary => self.bytes.extend(v.to_be_bytes()),
            Protocol::Compact => self.zigzag(i64::from(v)),
        }
    }

    pub(crate) fn i64(&mut self, id: i16, v: i64) {
        self.head(id, self.pick(I64));
        match self.protocol {
            Protocol::Binary => self.bytes.extend(v.to_be_bytes()),
            Protocol::Compact => self.zigzag(v),
        }
    }

    pub(crate) fn double(&mut self, id: i16, v: f64) {
        self.head(id, self.pick(DOUBLE));
        match self.protocol {
            Protocol::Binary => self.bytes.extend(v.to_be_bytes()),
            Protocol::Compact => self.bytes.extend(v.to_le_bytes()),
        }
    }

    pub(crate) fn binary(&mut self, id: i16, v: &[u8]) {
        self.head(id, self.pick(BINARY));
        match self.protocol {
            Protocol::Binary => self.bytes.extend((v.len() as i32).to_be_bytes()),
            Protocol::Compact => self.varint(v.len() as u64),
        }
        self.bytes.extend(v);
    }

    /// Begins a field that is a struct.
    pub(crate) fn structure(&mut self, id: i16) {
        self.head(id, self.pick(STRUCT));
        self.begin();
    }

    /// Begins a field that is a list of `n` structs; each is begun and ended.
    pub(crate) fn structs(&mut self, id: i16, n: usize) {
        self.head(id, self.pick(LIST));
        let kind = self.pick(STRUCT);
        match self.protocol {
            Protocol::Binary => {
                self.bytes.push(kind);
                self.bytes.extend((n as i32).to_be_bytes());
            }
            Protocol::Compact if n < 15 => self.bytes.push((n as u8) << 4 | kind),
            Protocol::Compact => {
                self.bytes.push(0xf0 | kind);
                self.varint(n as u64);
            }
        }
    }

    pub(crate) fn begin(&mut self) {
        self.last.push(0);
    }

    pub(crate) fn end(&mut self) {
        self.bytes.push(0);
        self.last.pop();
    }
}
