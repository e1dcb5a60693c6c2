//! Chooses the smallest float codec that gives the values back to the bit.

use super::{decimal, xor};

const RAW: u8 = 0;
const CONST: u8 = 1;

/// At this many bytes per value the decimal codec is good enough that XOR is not tried.
const GOOD_DECIMAL: usize = 2;

/// Appends the chunk.
pub(crate) fn encode(values: &[f64], out: &mut Vec<u8>) {
    let mut candidates: Vec<Vec<u8>> = Vec::with_capacity(3);
    let first = values.first().map_or(0, |v| v.to_bits());
    if !values.is_empty() && values.iter().all(|v| v.to_bits() == first) {
        let mut constant = vec![CONST];
        constant.extend_from_slice(&first.to_le_bytes());
        candidates.push(constant);
    }
    let mut made = Vec::new();
    if decimal::encode(values, &mut made) {
        candidates.push(made);
    }
    if candidates.iter().all(|c| c.len() > 8 + values.len() * GOOD_DECIMAL) {
        let mut made = Vec::new();
        xor::encode(values, &mut made);
        candidates.push(made);
    }
    candidates.retain(|c| c.len() <= 1 + values.len() * 8);
    candidates.sort_by_key(Vec::len);
    match candidates.into_iter().find(|c| gives_back(c, values)) {
        Some(chunk) => out.extend_from_slice(&chunk),
        None => {
            out.push(RAW);
            values.iter().for_each(|v| out.extend_from_slice(&v.to_bits().to_le_bytes()));
        }
    }
}

fn gives_back(chunk: &[u8], values: &[f64]) -> bool {
    decode(chunk, values.len()).is_some_and(|d| {
        d.len() == values.len() && d.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits())
    })
}

/// Decodes `n` values.
pub(crate) fn decode(chunk: &[u8], n: usize) -> Option<Vec<f64>> {
    let (codec, payload) = chunk.split_first()?;
    if n > super::MAX_SAMPLES {
        return None;
    }
    match *codec {
        RAW => {
            let (words, rest) = payload.as_chunks::<8>();
            (rest.is_empty() && words.len() == n)
                .then(|| words.iter().map(|w| f64::from_bits(u64::from_le_bytes(*w))).collect())
        }
        CONST => {
            let bits = u64::from_le_bytes(payload.try_into().ok()?);
            Some(vec![f64::from_bits(bits); n])
        }
        decimal::DECIMAL => decimal::decode(payload, n),
        xor::XOR => xor::decode(payload, n),
        _ => None,
    }
}
