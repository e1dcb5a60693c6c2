//! Pieces of files, each under the name of its hash.

use bytes::Bytes;
use object_store::{ObjectStoreExt, path::Path};
use sha2::{Digest, Sha256};

use super::Place;
use crate::{Error, Result};

/// Longest piece. Larger: more memory while copying. Smaller: more objects.
pub(super) const PIECE: usize = 16 << 20;

/// SHA-256 in lower-case hex. Contents come from senders, so a hash that can be made to collide would not do.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut s, b| {
        s.push_str(&format!("{b:02x}"));
        s
    })
}

pub(super) fn path(hash: &str) -> Path {
    Path::from(format!("blobs/{}/{hash}", hash.get(..2).unwrap_or("xx")))
}

/// Whether the piece is there in its length. Its bytes are `verify`'s to judge.
pub(super) async fn has(place: &Place, hash: &str, len: u64) -> Result<bool> {
    let path = path(hash);
    match place.objects.head(&path).await {
        Ok(meta) => Ok(meta.size == len),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(Error::object(&path, e)),
    }
}

/// Stores a piece unless it is there already. Answers its hash, and whether it was new.
pub(super) async fn put(place: &Place, bytes: Bytes) -> Result<(String, bool)> {
    let (hash, bytes) = tokio::task::spawn_blocking(move || (hash(&bytes), bytes))
        .await
        .map_err(|e| Error::Internal(format!("hashing a piece: {e}")))?;
    if has(place, &hash, bytes.len() as u64).await? {
        return Ok((hash, false));
    }
    let path = path(&hash);
    place.objects.put(&path, bytes.into()).await.map_err(|e| Error::object(&path, e))?;
    Ok((hash, true))
}

/// Reads a piece and proves it. The message of an error names the blob; `of` says what it is a part of.
pub(super) async fn get(place: &Place, hash: &str, len: u64, of: &str) -> Result<Bytes> {
    let path = path(hash);
    let bad = |what: String| Error::Corrupt(format!("blob {path}, a part of {of}, {what}"));
    let got = match place.objects.get(&path).await {
        Ok(got) => got,
        Err(object_store::Error::NotFound { .. }) => return Err(bad("is missing".to_owned())),
        Err(e) => return Err(Error::object(&path, e)),
    };
    if got.meta.size != len {
        return Err(bad(format!("has {} bytes instead of {len}", got.meta.size)));
    }
    let bytes = got.bytes().await.map_err(|e| Error::object(&path, e))?;
    let (found, bytes) = tokio::task::spawn_blocking(move || (self::hash(&bytes), bytes))
        .await
        .map_err(|e| Error::Internal(format!("hashing a piece: {e}")))?;
    if found != hash {
        return Err(bad(format!("has other contents: its hash is {found}")));
    }
    Ok(bytes)
}

/// Length of each piece of a file.
pub(super) fn lengths(bytes: u64) -> impl Iterator<Item = u64> {
    let piece = PIECE as u64;
    (0..bytes.div_ceil(piece)).map(move |i| (bytes - i * piece).min(piece))
}
