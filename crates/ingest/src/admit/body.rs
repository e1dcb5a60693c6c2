//! A body before it is decoded: the memory it will need, its unpacked form, and the name of the batch it becomes.

use std::borrow::Cow;

use base::{
    cap::{self, Encoding},
    memory::Reservation,
};
use bytes::Bytes;
use model::BatchId;

use super::{Request, Resolved};
use crate::{Result, Sender};

/// What decoding needs at most, as a multiple of the unpacked body: the decoded form, beside the body itself.
const DECODED_FACTOR: u64 = 4;
/// What a packed body is expected to grow by before it is known; growing past it is asked for separately.
const UNPACKED_FACTOR: u64 = 8;

/// What the request will need, known before anything is unpacked.
pub(super) fn expected_bytes(encoding: Encoding, body: &[u8], at: &Resolved) -> u64 {
    let packed = body.len() as u64;
    let cap = at.options.limits.max_decompressed_bytes as u64;
    let plain = match encoding {
        Encoding::Identity => packed,
        _ => packed.saturating_mul(UNPACKED_FACTOR).min(cap),
    };
    packed + plain
}

/// Makes the reservation fit what unpacking showed; sheds where there is no room for the decoded form.
pub(super) fn fit(held: &mut Reservation, packed: usize, plain: usize) -> Result<()> {
    let wanted = packed as u64 + plain as u64 * (1 + DECODED_FACTOR);
    if wanted > held.bytes() {
        held.grow(wanted - held.bytes())?;
    }
    held.shrink_to(wanted);
    Ok(())
}

pub(super) fn unpack<'a>(encoding: Encoding, body: &'a Bytes, at: &Resolved) -> Result<Cow<'a, [u8]>> {
    let max = at.options.limits.max_decompressed_bytes;
    match encoding {
        Encoding::Identity if body.len() <= max => Ok(Cow::Borrowed(body)),
        packed => Ok(Cow::Owned(cap::unpack(packed, body, max)?)),
    }
}

/// Everything but the body that makes two requests different.
pub(super) struct Salt(xxhash_rust::xxh3::Xxh3);

impl Salt {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        let Sender { addr, user_agent, cluster, batch: _, items: _ } = request.sender;
        // What is stored of the same body depends on whose certificate it came with.
        let cluster = cluster.as_ref().map(|c| c.as_str());
        let parts = [request.tenant.as_str(), request.endpoint, addr, user_agent];
        let within = ["within", request.within].into_iter().filter(|_| !request.within.is_empty());
        for part in parts.into_iter().chain(cluster).chain(within) {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Salt(hash)
    }

    /// The number of items refused here is part of the id: once a limit is raised, the same body is another
    /// batch, or its newly allowed items would be taken for known.
    pub(super) fn batch_id(mut self, body: &[u8], refused: u64) -> BatchId {
        self.0.update(&refused.to_le_bytes());
        self.0.update(body);
        BatchId::Content(self.0.digest128())
    }
}
