//! The reserve: free space of the file system that stays for the log, flushes and compaction. Appends are
//! refused before it is touched, and taken again when space returns.

use crate::{core::Core, options::Policy};

const MIN_RESERVE: u64 = 64 << 20;
const MAX_RESERVE: u64 = 20 << 30;

/// (free, total, reserve) bytes. Total is 0 where the disk is not the machine's.
pub(crate) struct Space {
    pub(crate) free: u64,
    pub(crate) total: u64,
    pub(crate) reserve: u64,
}

/// `None` when the disk does not say.
pub(crate) fn space(core: &Core) -> Option<Space> {
    let free = core.log.free_bytes().ok()?;
    let total =
        rustix::fs::statvfs(&core.options.data_dir).map_or(0, |s| s.f_blocks.saturating_mul(s.f_frsize));
    Some(Space { free, total, reserve: reserve(&core.policy.load(), total) })
}

/// 5 % of the file system within bounds, unless configured. Never more than a quarter: on a tiny file system
/// the floor would leave nothing to use.
fn reserve(policy: &Policy, total: u64) -> u64 {
    let floor = if total == 0 { MIN_RESERVE } else { MIN_RESERVE.min(total / 4) };
    policy.disk_reserve_bytes.unwrap_or((total / 20).clamp(floor, MAX_RESERVE))
}

pub(crate) fn check_reserve(core: &Core) -> contract::Result<()> {
    match space(core) {
        Some(s) if s.free < s.reserve => Err(contract::Error {
            kind: base::Kind::Unavailable,
            message: format!(
                "disk.reserve of {} bytes is reached: {} bytes are free at {}",
                s.reserve,
                s.free,
                core.options.data_dir.display()
            ),
            limit: Some("disk.reserve"),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_five_percent_within_bounds() {
        let p = Policy::default();
        assert_eq!(reserve(&p, 100 << 30), 5 << 30);
        assert_eq!(reserve(&p, 1 << 30), 64 << 20);
        assert_eq!(reserve(&p, 100 << 20), 25 << 20);
        assert_eq!(reserve(&p, 100 << 40), 20 << 30);
        assert_eq!(reserve(&Policy { disk_reserve_bytes: Some(7), ..p }, 1 << 40), 7);
    }
}
