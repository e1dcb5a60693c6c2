//! Writes what the crate reads, from the same specification: the oracle of its tests, and a
//! maker of blocks for tests of others.

#![allow(clippy::unwrap_used)] // It writes to the disk of tests.

pub mod chunks;

use std::path::Path;

use crate::Points;

fn crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).to_be_bytes()
}

pub fn put_uvarint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

pub fn put_varint(out: &mut Vec<u8>, v: i64) {
    put_uvarint(out, ((v << 1) ^ (v >> 63)) as u64);
}

fn section(out: &mut Vec<u8>, body: &[u8]) {
    out.extend((body.len() as u32).to_be_bytes());
    out.extend(body);
    out.extend(crc(body));
}

/// One series of a block to be: sorted labels and its chunks, each encoded.
pub struct Draft {
    pub labels: Vec<(String, String)>,
    pub chunks: Vec<(u8, Points)>,
}

/// Reference, first and last time of each chunk of each series.
pub type Refs = Vec<Vec<(u64, i64, i64)>>;

/// A chunk file with all chunks, and for each series the reference and times of each.
pub fn chunk_file(series: &[Draft]) -> (Vec<u8>, Refs) {
    let mut out = vec![0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];
    let mut refs = Vec::new();
    for s in series {
        let mut mine = Vec::new();
        for (encoding, points) in &s.chunks {
            let times: Vec<i64> = chunks::times(points);
            mine.push((out.len() as u64, times[0], *times.last().unwrap()));
            let mut body = vec![*encoding];
            body.extend(chunks::encode(*encoding, points));
            put_uvarint(&mut out, body.len() as u64 - 1);
            out.extend(&body);
            out.extend(crc(&body));
        }
        refs.push(mine);
    }
    (out, refs)
}

/// An index of the given version, and the reference of each series.
pub fn index(version: u8, series: &[Draft], refs: &[Vec<(u64, i64, i64)>]) -> (Vec<u8>, Vec<u64>) {
    let mut out = vec![0xBA, 0xAA, 0xD7, 0x00, version];
    let mut names: Vec<&str> =
        series.iter().flat_map(|s| s.labels.iter().flat_map(|(n, v)| [n.as_str(), v.as_str()])).collect();
    names.sort_unstable();
    names.dedup();
    let at_symbols = out.len() as u64;
    let mut body = (names.len() as u32).to_be_bytes().to_vec();
    let mut offsets = Vec::new();
    for n in &names {
        offsets.push(at_symbols + 4 + body.len() as u64);
        put_uvarint(&mut body, n.len() as u64);
        body.extend(n.as_bytes());
    }
    section(&mut out, &body);
    let symbol = |s: &str| {
        let i = names.binary_search(&s).unwrap();
        if version == 1 { offsets[i] } else { i as u64 }
    };
    let mut ids = Vec::new();
    let at_series = out.len() as u64;
    for (s, refs) in series.iter().zip(refs) {
        while version > 1 && !out.len().is_multiple_of(16) {
            out.push(0);
        }
        ids.push(if version == 1 { out.len() as u64 } else { out.len() as u64 / 16 });
        let mut body = Vec::new();
        put_uvarint(&mut body, s.labels.len() as u64);
        for (n, v) in &s.labels {
            put_uvarint(&mut body, symbol(n));
            put_uvarint(&mut body, symbol(v));
        }
        put_uvarint(&mut body, refs.len() as u64);
        let mut before: Option<(u64, i64)> = None;
        for (reference, min, max) in refs {
            match before {
                None => put_varint(&mut body, *min),
                Some((_, t)) => put_uvarint(&mut body, (min - t) as u64),
            }
            put_uvarint(&mut body, (max - min) as u64);
            match before {
                None => put_uvarint(&mut body, *reference),
                Some((r, _)) => put_varint(&mut body, *reference as i64 - r as i64),
            }
            before = Some((*reference, *max));
        }
        put_uvarint(&mut out, body.len() as u64);
        out.extend(&body);
        out.extend(crc(&body));
    }
    let at_postings = out.len() as u64;
    let mut body = (ids.len() as u32).to_be_bytes().to_vec();
    ids.iter().for_each(|id| body.extend((*id as u32).to_be_bytes()));
    section(&mut out, &body);
    let at_table = out.len() as u64;
    let mut body = 1u32.to_be_bytes().to_vec();
    body.extend([2, 0, 0]);
    put_uvarint(&mut body, at_postings);
    section(&mut out, &body);
    let mut contents = Vec::new();
    for at in [at_symbols, at_series, 0, 0, at_postings, at_table] {
        contents.extend(at.to_be_bytes());
    }
    let sum = crc(&contents);
    out.extend(contents);
    out.extend(sum);
    (out, ids)
}

pub fn tombstones(entries: &[(u64, i64, i64)]) -> Vec<u8> {
    let mut out = vec![0x01, 0x30, 0xBA, 0x30, 1];
    for (series, first, last) in entries {
        put_uvarint(&mut out, *series);
        put_varint(&mut out, *first);
        put_varint(&mut out, *last);
    }
    let sum = crc(&out[5..]);
    out.extend(sum);
    out
}

/// Writes a whole block; answers the references of its series.
pub fn block(dir: &Path, version: u8, series: &[Draft]) -> Vec<u64> {
    std::fs::create_dir_all(dir.join("chunks")).unwrap();
    let (file, refs) = chunk_file(series);
    let (index, ids) = index(version, series, &refs);
    std::fs::write(dir.join("chunks/000001"), file).unwrap();
    std::fs::write(dir.join("index"), index).unwrap();
    let meta = r#"{"ulid":"01AAAAAAAAAAAAAAAAAAAAAAAA","minTime":0,"maxTime":10,"version":1}"#;
    std::fs::write(dir.join("meta.json"), meta).unwrap();
    ids
}
