//! Named blobs between the row groups and the footer.

/// A blob to be written. `cuts` are offsets inside it at which readers may begin and end a partial read;
/// each piece gets a checksum of its own in the seal.
#[derive(Debug, Default)]
pub(crate) struct Blob {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub cuts: Vec<u64>,
}

impl Blob {
    pub fn whole(name: &'static str, bytes: Vec<u8>) -> Self {
        Blob { name, bytes, cuts: Vec::new() }
    }
}

/// Where a blob lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobRef {
    pub offset: u64,
    pub length: u64,
    pub crc: u32,
}

impl BlobRef {
    pub fn format(self) -> String {
        format!("{},{},{:08x}", self.offset, self.length, self.crc)
    }

    /// `None` where the text is malformed or the blob would end after the file.
    pub fn parse(text: &str, file_size: u64) -> Option<Self> {
        let mut parts = text.split(',');
        let offset: u64 = parts.next()?.parse().ok()?;
        let length: u64 = parts.next()?.parse().ok()?;
        let crc = u32::from_str_radix(parts.next()?, 16).ok()?;
        let end = offset.checked_add(length)?;
        (parts.next().is_none() && end <= file_size).then_some(BlobRef { offset, length, crc })
    }
}

/// Blobs of text are kept below this, so that a reader knows what unpacking can cost.
pub(crate) const MAX_TEXT: usize = 256 << 20;
const LEVEL: i32 = 3;

/// `| length of the text u32, little-endian | zstd frame |`
pub(crate) fn pack_text(what: &str, text: &str) -> crate::Result<Vec<u8>> {
    if text.len() > MAX_TEXT {
        return Err(crate::Error::Invalid(format!(
            "the {what} take {} bytes, more than {MAX_TEXT}",
            text.len()
        )));
    }
    let frame =
        zstd::bulk::compress(text.as_bytes(), LEVEL).map_err(|e| crate::Error::Encode(e.to_string()))?;
    let mut out = (text.len() as u32).to_le_bytes().to_vec();
    out.extend_from_slice(&frame);
    Ok(out)
}

pub(crate) fn unpack_text(bytes: &[u8]) -> Option<String> {
    let (length, frame) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > MAX_TEXT {
        return None;
    }
    let text = zstd::bulk::decompress(frame, length).ok().filter(|t| t.len() == length)?;
    String::from_utf8(text).ok()
}
