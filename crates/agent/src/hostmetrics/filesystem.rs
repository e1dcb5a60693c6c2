//! Mounted file systems: `/proc/self/mounts` and statvfs(3). Only file systems that hold files of a disk or a
//! network; each device once, at its shortest mount point.

use std::collections::BTreeMap;

use super::points::{Family, Points};

const USAGE: Family =
    Family::gauge("system_filesystem_usage_bytes", "By", "Bytes of each file system by state.");
const LIMIT: Family = Family::gauge("system_filesystem_limit_bytes", "By", "Size of each file system.");
const UTILIZATION: Family =
    Family::gauge("system_filesystem_utilization_ratio", "1", "Share of each file system in use.");
const INODES: Family =
    Family::gauge("system_filesystem_inodes", "{inode}", "Inodes of each file system by state.");

const REAL: [&str; 14] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "ntfs3", "overlay", "nfs", "nfs4", "cifs",
    "bcachefs",
];

pub fn points(p: &mut Points, mounts: &str) {
    for (device, (mountpoint, kind, read_only)) in real_mounts(mounts) {
        let Ok(s) = rustix::fs::statvfs(mountpoint.as_str()) else { continue };
        let unit = s.f_frsize as f64;
        let (total, free, available) =
            (s.f_blocks as f64 * unit, s.f_bfree as f64 * unit, s.f_bavail as f64 * unit);
        if total <= 0.0 {
            continue;
        }
        let mode = if read_only { "ro" } else { "rw" };
        let base = [
            ("system_device", device.as_str()),
            ("system_filesystem_mountpoint", mountpoint.as_str()),
            ("system_filesystem_type", kind.as_str()),
            ("system_filesystem_mode", mode),
        ];
        let with_state = |state| [base.as_slice(), &[("system_filesystem_state", state)]].concat();
        let used = total - free;
        for (state, value) in [("used", used), ("free", available), ("reserved", free - available)] {
            p.push(&USAGE, &with_state(state), value);
        }
        p.push(&LIMIT, &base, total);
        p.push(&UTILIZATION, &base, used / (used + available).max(1.0));
        let (inodes, unused) = (s.f_files as f64, s.f_ffree as f64);
        if inodes > 0.0 {
            p.push(&INODES, &with_state("used"), inodes - unused);
            p.push(&INODES, &with_state("free"), unused);
        }
    }
}

/// Device to (mount point, type, read only).
fn real_mounts(mounts: &str) -> BTreeMap<String, (String, String, bool)> {
    let mut out: BTreeMap<String, (String, String, bool)> = BTreeMap::new();
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(mountpoint), Some(kind), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if !REAL.contains(&kind) {
            continue;
        }
        let mountpoint = unescape(mountpoint);
        let read_only = options.split(',').any(|o| o == "ro");
        let entry = (mountpoint, kind.to_owned(), read_only);
        out.entry(unescape(device))
            .and_modify(|known| {
                if entry.0.len() < known.0.len() {
                    *known = entry.clone();
                }
            })
            .or_insert(entry);
    }
    out
}

/// Spaces, tabs, newlines and backslashes are written as three octal digits (getmntent(3)).
fn unescape(s: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(s.to_owned(), |s, (code, plain)| s.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_once_at_its_shortest_mount_point() {
        let mounts = "proc /proc proc rw 0 0\n/dev/sda1 /var/lib/x ext4 rw 0 0\n/dev/sda1 / ext4 ro,relatime 0 0\n\
                      /dev/sdb /my\\040disk xfs rw 0 0\n";
        let m = real_mounts(mounts);
        assert_eq!(m.len(), 2);
        assert_eq!(m["/dev/sda1"], ("/".to_owned(), "ext4".to_owned(), true));
        assert_eq!(m["/dev/sdb"].0, "/my disk");
    }
}
