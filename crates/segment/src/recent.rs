//! Pairs of texts that were met lately, so that one that repeats is looked at once.

/// Pairs remembered, a power of two.
const PLACES: usize = 512;
/// Longer values seldom repeat.
const MAX_VALUE: usize = 128;

/// A pair's place is a guess at its hash; whoever comes to a place later takes it.
#[derive(Debug)]
pub(crate) struct Recent(Vec<Place>);

#[derive(Debug, Clone, Default)]
struct Place {
    /// Where it was met, and 1; 0 of an empty place.
    within: u64,
    name: String,
    value: String,
}

impl Default for Recent {
    fn default() -> Self {
        Recent(vec![Place::default(); PLACES])
    }
}

impl Recent {
    /// Whether a value of a name was met within the same block, or whatever is counted, as far as is remembered. From
    /// now on it was.
    #[inline]
    pub(crate) fn met(&mut self, name: &str, value: &str, within: u64) -> bool {
        if value.len() > MAX_VALUE {
            return false;
        }
        let guess = edges(name.as_bytes()).rotate_left(23) ^ edges(value.as_bytes());
        let at = guess.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES.trailing_zeros());
        let Some(place) = self.0.get_mut(at as usize) else { return false };
        if place.within == within + 1 && place.value == value && place.name == name {
            return true;
        }
        place.within = within + 1;
        name.clone_into(&mut place.name);
        value.clone_into(&mut place.value);
        false
    }
}

/// Something of a text that is read at once: its length and its last bytes.
#[inline]
fn edges(text: &[u8]) -> u64 {
    let bytes = match (text.last_chunk::<8>(), text.last_chunk::<4>()) {
        (Some(last), _) => u64::from_le_bytes(*last),
        (None, Some(last)) => {
            u64::from(u32::from_le_bytes(*last)) << 8 | u64::from(text.first().copied().unwrap_or(0))
        }
        (None, None) => text.iter().fold(0, |all, b| all << 8 | u64::from(*b)),
    };
    bytes.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ text.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_met_again_in_its_block_and_under_its_name_only() {
        let mut recent = Recent::default();
        assert!(!recent.met("status", "200", 0));
        assert!(recent.met("status", "200", 0));
        assert!(!recent.met("code", "200", 0) && !recent.met("status", "20", 0));
        assert!(!recent.met("status", "200", 1));
        let long = "v".repeat(MAX_VALUE + 1);
        assert!(!recent.met("status", &long, 1) && !recent.met("status", &long, 1));
        assert!(!recent.met("", "", 1) && recent.met("", "", 1));
    }

    #[test]
    fn one_that_takes_the_place_of_another_is_not_taken_for_it() {
        let mut recent = Recent::default();
        for block in 0..3 {
            for n in 0..4 * PLACES {
                assert!(!recent.met("id", &format!("{n:08}"), block), "{n}");
            }
        }
    }
}
