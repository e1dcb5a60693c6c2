//! Messages of a TCP connection (RFC 6587): each with its length before it, or each ended by a line feed. Which of the two
//! is seen by the first byte of each message.
//!
//! ```text
//! 11 <34>1 - - -          a length in decimal, a space, so many bytes
//! <34>Oct 11 …\n           anything else up to the line feed
//! ```

/// Where the messages of a buffer stand, and what is to become of the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// First and last byte, the last excluded.
    pub messages: Vec<(usize, usize)>,
    /// Bytes that are done with.
    pub used: usize,
    /// A message was longer than allowed; so many bytes of it are still to come and to be thrown away, where that is
    /// known.
    pub too_long: Option<Option<usize>>,
}

/// Digits of a length.
const MAX_DIGITS: usize = 9;

/// Finds the whole messages at the beginning of a buffer. `ended` says that nothing follows it.
pub fn cut(buffer: &[u8], max_bytes: usize, ended: bool) -> Cut {
    let mut out = Cut::default();
    while let Some(rest) = buffer.get(out.used..).filter(|r| !r.is_empty()) {
        let step = match counted(rest) {
            Length::Known { head, bytes } if bytes > max_bytes => {
                // What is here of it goes; the rest is thrown away as it comes.
                let here = rest.len().min(head + bytes);
                out.used += here;
                let missing = (head + bytes).saturating_sub(here);
                if missing > 0 || here > 0 {
                    out.too_long = Some(Some(missing));
                }
                return out;
            }
            Length::Known { head, bytes } => {
                (head + bytes <= rest.len()).then_some((head, head + bytes, head + bytes))
            }
            Length::Unfinished if !ended => None,
            _ => match memchr::memchr(b'\n', rest) {
                Some(end) => Some((0, end, end + 1)),
                None if rest.len() > max_bytes => {
                    out.used = buffer.len();
                    out.too_long = Some(None);
                    return out;
                }
                None => ended.then_some((0, rest.len(), rest.len())),
            },
        };
        let Some((from, to, next)) = step else { break };
        if to > from && to - from > max_bytes {
            out.used += next;
            out.too_long = Some(Some(0));
            return out;
        }
        // Empty lines are nothing.
        if rest.get(from..to).is_some_and(|m| m.iter().any(|b| !b.is_ascii_whitespace())) {
            out.messages.push((out.used + from, out.used + to));
        }
        out.used += next;
    }
    out
}

enum Length {
    Known {
        head: usize,
        bytes: usize,
    },
    /// It may still become one.
    Unfinished,
    None,
}

fn counted(rest: &[u8]) -> Length {
    if !rest.first().is_some_and(|b| (b'1'..=b'9').contains(b)) {
        return Length::None;
    }
    let digits = rest.iter().take(MAX_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
    if digits > MAX_DIGITS {
        return Length::None;
    }
    match rest.get(digits) {
        None => Length::Unfinished,
        Some(b' ') => {
            let number = rest.iter().take(digits).fold(0usize, |n, d| n * 10 + usize::from(d - b'0'));
            Length::Known { head: digits + 1, bytes: number }
        }
        Some(_) => Length::None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(buffer: &[u8]) -> Vec<&[u8]> {
        cut(buffer, 100, false).messages.iter().map(|(a, b)| &buffer[*a..*b]).collect()
    }

    #[test]
    fn messages_are_counted_or_ended_by_a_line_feed() {
        assert_eq!(texts(b"5 <1>ab6 <2>c\nd<3>x\n<4>y"), [&b"<1>ab"[..], b"<2>c\nd", b"<3>x"]);
        assert_eq!(cut(b"5 <1>", 100, false), Cut::default());
        assert_eq!(cut(b"12", 100, false).used, 0);
        assert_eq!(cut(b"<4>y", 100, true).messages, [(0, 4)]);
        assert_eq!(texts(b"\n\nin 2024\n"), [&b"in 2024"[..]]);
    }

    #[test]
    fn a_message_that_is_too_long_is_passed_over() {
        assert_eq!(cut(b"200 <1>abc", 100, false).too_long, Some(Some(194)));
        let long = [b'x'; 200];
        assert_eq!(cut(&long, 100, false).too_long, Some(None));
    }

    proptest! {
        #[test]
        fn nothing_is_cut_beyond_the_buffer(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), b'0'..=b'9', any::<u8>()], 0..100), ended in any::<bool>()) {
            let cut = cut(&bytes, 20, ended);
            prop_assert!(cut.used <= bytes.len());
            let mut last = 0;
            for (from, to) in cut.messages {
                prop_assert!(last <= from && from < to && to <= cut.used && to - from <= 20);
                last = to;
            }
        }
    }
}
