//! One frame: what was appended in one call. Integers are little-endian.
//!
//! ```text
//!  0        1        2                 4                                 8
//! +--------+--------+-----------------+---------------------------------+
//! | version| kind   | zero (u16)      | payload length (u32)            |
//! |  (1)   | (u8)   |                 |                                 |
//! +--------+--------+-----------------+---------------------------------+
//! | bytes back to the first frame of  | crc32c of the payload (u32)     |
//! | its commit group (u32)            |                                 |
//! +-----------------------------------+---------------------------------+
//! | crc32c of salt, offset and bytes  | payload ...
//! | 0..16 of this header (u32)        |
//! +-----------------------------------+
//! ```
//! The header has a checksum of its own so that a length is never trusted before it was checked. Its seed
//! is the segment's salt and the frame's offset: bytes inside a payload cannot pass for a frame.
//!
//! The way back to the group tells a torn tail from damage. A group is written only after the group before
//! it was synced, so a sound frame whose group begins after a broken frame proves that the broken one had
//! been acknowledged. Frames of one group may reach the disk in any order.
//!
//! Version rule: readers refuse versions they do not know; a new version is a new number in byte 0.

/// Length of a frame header.
pub const HEADER: usize = 20;

const VERSION: u8 = 1;

/// A checked frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    pub length: u32,
    /// Bytes from the start of the group's first frame to the start of this one.
    pub group_back: u32,
    pub payload_crc: u32,
}

/// Appends header and payload of a frame that will lie at `offset` of the segment with `salt`.
pub fn encode(out: &mut Vec<u8>, salt: u64, offset: u64, group_back: u32, kind: u8, payload: &[u8]) {
    let mut h = [0u8; HEADER];
    h[0] = VERSION;
    h[1] = kind;
    h[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    h[8..12].copy_from_slice(&group_back.to_le_bytes());
    h[12..16].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let crc = header_crc(salt, offset, &h);
    h[16..20].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&h);
    out.extend_from_slice(payload);
}

/// Checks a header that lies at `offset`; the reason says what is wrong.
pub fn decode(h: &[u8; HEADER], salt: u64, offset: u64) -> Result<Header, &'static str> {
    if u32_at(h, 16) != header_crc(salt, offset, h) {
        return Err(if h.iter().all(|b| *b == 0) {
            "zeros where a frame should begin"
        } else {
            "frame header checksum does not match"
        });
    }
    if h[0] != VERSION || h[2] != 0 || h[3] != 0 {
        return Err("frame version is not known");
    }
    Ok(Header { kind: h[1], length: u32_at(h, 4), group_back: u32_at(h, 8), payload_crc: u32_at(h, 12) })
}

/// A cheap look before [`decode`], for searches through arbitrary bytes.
pub fn could_begin(h: &[u8; HEADER]) -> bool {
    h[0] == VERSION && h[2] == 0 && h[3] == 0
}

fn header_crc(salt: u64, offset: u64, h: &[u8; HEADER]) -> u32 {
    let seed = crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &offset.to_le_bytes());
    crc32c::crc32c_append(seed, &h[..16])
}

fn u32_at(h: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_these_bytes() {
        let mut out = Vec::new();
        encode(&mut out, 0x1122_3344_5566_7788, 40, 0, 7, b"orrery");
        let hex: String = out.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, FIXTURE_V1);
        let head: [u8; HEADER] = out[..HEADER].try_into().unwrap();
        let h = decode(&head, 0x1122_3344_5566_7788, 40).unwrap();
        assert_eq!((h.kind, h.length, h.group_back), (7, 6, 0));
        assert!(decode(&head, 0x1122_3344_5566_7788, 41).is_err(), "the offset is part of the checksum");
        assert!(decode(&head, 1, 40).is_err(), "the salt is part of the checksum");
    }

    const FIXTURE_V1: &str = "010700000600000000000000fd4b644f3c74951f6f7272657279";
}
