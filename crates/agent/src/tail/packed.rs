//! Reading a file that a rotation has packed with gzip (RFC 1952), from one place on.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

/// Bytes passed over at once.
const STEP: usize = 64 << 10;
/// A file that unpacks to more is left alone: it is no rotated log.
pub(super) const MAX_BYTES: u64 = 16 << 30;

/// Read forwards mostly: going back begins again.
pub(super) struct Packed {
    decoder: MultiGzDecoder<BufReader<File>>,
    at: u64,
}

impl Packed {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let mut file = file;
        file.rewind()?;
        Ok(Packed { decoder: MultiGzDecoder::new(BufReader::new(file)), at: 0 })
    }

    /// Up to `want` bytes from `offset` of what was packed; fewer at its end.
    pub(super) fn read(&mut self, offset: u64, want: usize) -> io::Result<Vec<u8>> {
        if offset < self.at {
            let file = self.decoder.get_ref().get_ref().try_clone()?;
            *self = Packed::new(file)?;
        }
        self.pass(offset - self.at)?;
        let mut bytes = Vec::with_capacity(want.min(STEP));
        let read = (&mut self.decoder).take(want as u64).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        read.map(|_| bytes)
    }

    /// How long it is unpacked; `None` where that is more than anyone reads.
    pub(super) fn length(mut self) -> io::Result<Option<u64>> {
        self.pass(MAX_BYTES + 1)?;
        Ok((self.at <= MAX_BYTES).then_some(self.at))
    }

    fn pass(&mut self, bytes: u64) -> io::Result<()> {
        let passed = io::copy(&mut (&mut self.decoder).take(bytes), &mut io::sink());
        self.at += *passed.as_ref().unwrap_or(&0);
        passed.map(|_| ())
    }
}

/// What the end of a packed file says about its length: the lowest 32 bits, of its last part if it has several.
pub(super) fn said_length(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-4))?;
    let mut last = [0; 4];
    file.read_exact(&mut last)?;
    Ok(u32::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn packed(parts: &[&[u8]]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        for part in parts {
            let mut e = GzEncoder::new(Vec::new(), Compression::fast());
            e.write_all(part).unwrap();
            file.write_all(&e.finish().unwrap()).unwrap();
        }
        file
    }

    #[test]
    fn any_part_of_what_was_packed_is_read_in_any_order() {
        let text: Vec<u8> = (0..200_000u32).map(|n| (n / 7 % 251) as u8).collect();
        let (a, b) = text.split_at(120_000);
        let mut p = Packed::new(packed(&[a, b])).unwrap();
        for (offset, want) in [(0, 10), (119_990, 20), (5, 100_000), (199_999, 50), (300_000, 1)] {
            let end = (offset + want).min(text.len());
            let expected = text.get(offset..end).unwrap_or_default();
            assert_eq!(p.read(offset as u64, want).unwrap(), expected, "{offset}");
        }
        assert_eq!(Packed::new(packed(&[a, b])).unwrap().length().unwrap(), Some(200_000));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_not_packed_is_an_error_or_something_else_but_no_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200), begins in any::<bool>(), offset in 0u64..300
        ) {
            let mut file = if begins { packed(&[b"begins well"]) } else { tempfile::tempfile().unwrap() };
            file.write_all(&bytes).unwrap();
            let _ = Packed::new(file.try_clone().unwrap()).unwrap().length();
            let _ = Packed::new(file).unwrap().read(offset, 100);
        }
    }
}
