//! The payload of a log frame: the units of one commit group.
//!
//! ```text
//! frame kind 1: ( length u32 | unit ) ...                     unit: see wire::native, version 1 or 2
//! frame kind 2: flags u8 | ( length u32 | table | length u32 | unit ) ...
//!               table: the series of the unit, see wire::native::apart; empty without metrics
//!               flags: 1 BEGINS, numbers in tables from here on mean nothing of what stands before
//! ```
//! Lengths are little-endian. Any other kind or flag is from a newer version and is refused. The frame around it
//! carries the checksum. Kind 1 is still read.

use crate::{Error, Result};

/// Units of one commit group that stand for themselves.
const WHOLE: u8 = 1;
/// Units of one commit group whose series stand apart.
pub(crate) const UNITS: u8 = 2;

const BEGINS: u8 = 1;

/// What an entry of the log holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Units<'a> {
    /// What tables defined before is of no meaning any more.
    pub(crate) begins: bool,
    /// Table and unit.
    pub(crate) units: Vec<(&'a [u8], &'a [u8])>,
}

/// The payload of a group without units.
pub(crate) fn begin(begins: bool) -> Vec<u8> {
    vec![if begins { BEGINS } else { 0 }]
}

pub(crate) fn push(payload: &mut Vec<u8>, table: &[u8], unit: &[u8]) {
    for part in [table, unit] {
        payload.extend_from_slice(&(part.len() as u32).to_le_bytes());
        payload.extend_from_slice(part);
    }
}

/// The units of an entry; `place` is for messages.
pub(crate) fn units<'a>(kind: u8, mut payload: &'a [u8], place: &str) -> Result<Units<'a>> {
    let newer = |what: String| {
        Error::FutureVersion(format!(
            "the log at {place} holds {what}, this version of orrery knows kinds up to {UNITS}: start the newer version that wrote it"
        ))
    };
    let mut out = Units { begins: false, units: Vec::new() };
    match (kind, payload.split_first()) {
        (WHOLE, _) => {}
        (UNITS, Some((flags, rest))) => {
            if flags & !BEGINS != 0 {
                return Err(newer(format!("a frame with flags {flags:#x}")));
            }
            out.begins = *flags == BEGINS;
            payload = rest;
        }
        (UNITS, None) => return Err(Error::Corrupt(format!("the log at {place}: an empty frame"))),
        _ => return Err(newer(format!("a frame of kind {kind}"))),
    }
    while !payload.is_empty() {
        let table = if kind == WHOLE { &[] } else { part(&mut payload, place)? };
        out.units.push((table, part(&mut payload, place)?));
    }
    Ok(out)
}

fn part<'a>(payload: &mut &'a [u8], place: &str) -> Result<&'a [u8]> {
    let cut = || Error::Corrupt(format!("the log at {place}: a unit is cut short inside a sound frame"));
    let (length, rest) = payload.split_first_chunk::<4>().ok_or_else(cut)?;
    let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
    *payload = rest;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn units_come_back_and_random_bytes_never_panic(
            units_in in vec((vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..20)), 0..5),
            begins in any::<bool>(),
            noise in vec(any::<u8>(), 0..40),
        ) {
            let mut payload = begin(begins);
            let mut whole = Vec::new();
            for (table, unit) in &units_in {
                push(&mut payload, table, unit);
                whole.extend_from_slice(&(unit.len() as u32).to_le_bytes());
                whole.extend_from_slice(unit);
            }
            let back = units(UNITS, &payload, "x").unwrap();
            prop_assert_eq!(back.begins, begins);
            let want: Vec<(&[u8], &[u8])> = units_in.iter().map(|(t, u)| (&t[..], &u[..])).collect();
            prop_assert_eq!(back.units, want);
            let back = units(WHOLE, &whole, "x").unwrap();
            prop_assert!(!back.begins);
            let want: Vec<(&[u8], &[u8])> = units_in.iter().map(|(_, u)| (&[][..], &u[..])).collect();
            prop_assert_eq!(back.units, want);
            let _ = units(WHOLE, &noise, "x");
            let _ = units(UNITS, &noise, "x");
            prop_assert!(units(9, &noise, "x").is_err());
            prop_assert!(units(UNITS, &[2], "x").is_err());
        }
    }
}
