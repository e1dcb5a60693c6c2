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
