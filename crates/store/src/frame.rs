//! The payload of a log frame: the units of one commit group.
//!
//! ```text
//! frame kind 1: ( length u32 little-endian | unit ) ...     unit: see wire::native
//! ```
//! Any other kind is from a newer version and is refused. The frame around it carries the checksum.

use crate::{Error, Result};

/// Units of one commit group, each as `wire::native` writes it.
pub(crate) const UNITS: u8 = 1;

pub(crate) fn push(payload: &mut Vec<u8>, unit: &[u8]) {
    payload.extend_from_slice(&(unit.len() as u32).to_le_bytes());
    payload.extend_from_slice(unit);
}

/// The units of an entry; `place` is for messages.
pub(crate) fn units<'a>(kind: u8, mut payload: &'a [u8], place: &str) -> Result<Vec<&'a [u8]>> {
    if kind != UNITS {
        return Err(Error::FutureVersion(format!(
            "the log at {place} holds a frame of kind {kind}, this version of orrery knows kind {UNITS}: start the newer version that wrote it"
        )));
    }
    let mut out = Vec::new();
    while let Some((length, rest)) = payload.split_first_chunk::<4>() {
        let Some((unit, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            return Err(Error::Corrupt(format!(
                "the log at {place}: a unit is cut short inside a sound frame"
            )));
        };
        out.push(unit);
        payload = rest;
    }
    if !payload.is_empty() {
        return Err(Error::Corrupt(format!(
            "the log at {place}: {} stray bytes after the units",
            payload.len()
        )));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn units_come_back_and_random_bytes_never_panic(
            units_in in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5),
            noise in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut payload = Vec::new();
            for u in &units_in {
                push(&mut payload, u);
            }
            prop_assert_eq!(units(UNITS, &payload, "x").unwrap(), units_in);
            let _ = units(UNITS, &noise, "x");
            prop_assert!(units(9, &noise, "x").is_err());
        }
    }
}
