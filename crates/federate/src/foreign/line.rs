//! Lines of a body that comes in piece by piece.

/// Longest line; a series of samples or a tailed record. Larger: a server that never ends a line costs that much.
const MAX_LINE: usize = 64 << 20;

#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// Up to here there is no line end.
    seen: usize,
}

impl Lines {
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), String> {
        self.pending.drain(..self.at);
        self.seen -= self.at.min(self.seen);
        self.at = 0;
        if self.pending.len() + piece.len() > MAX_LINE && !piece.contains(&b'\n') {
            return Err(format!("a line is longer than {MAX_LINE} bytes"));
        }
        self.pending.extend_from_slice(piece);
        Ok(())
    }

    /// The next whole line, without its end.
    pub(super) fn pull(&mut self) -> Option<&[u8]> {
        let from = self.seen.max(self.at);
        let found = self.pending.get(from..)?.iter().position(|b| *b == b'\n');
        let Some(end) = found.map(|n| from + n) else {
            self.seen = self.pending.len();
            return None;
        };
        let start = std::mem::replace(&mut self.at, end + 1);
        self.seen = self.at;
        self.pending.get(start..end)
    }

    /// What stands behind the last line end.
    pub(super) fn rest(&self) -> &[u8] {
        self.pending.get(self.at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_come_out_as_they_were_however_they_come_in(
            lines in proptest::collection::vec("[a-z]{0,5}", 0..20), step in 1usize..9,
        ) {
            let text: String = lines.iter().map(|l| format!("{l}\n")).collect::<String>() + "end";
            let (mut cut, mut got) = (Lines::default(), Vec::new());
            for piece in text.as_bytes().chunks(step) {
                cut.push(piece).unwrap();
                while let Some(line) = cut.pull() {
                    got.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            prop_assert_eq!(got, lines);
            prop_assert_eq!(cut.rest(), b"end");
        }
    }
}
