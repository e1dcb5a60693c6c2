//! Mounted file systems: `/proc/<pid>/mountinfo` (proc(5)) and statvfs(3).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::emit::{Emit, Metric};

const USAGE: Metric = Metric::gauge("system.filesystem.usage", "By", "Bytes of a file system by state.");
const UTILIZATION: Metric =
    Metric::gauge("system.filesystem.utilization", "1", "Share of a file system that is used.");
const LIMIT: Metric = Metric::gauge("system.filesystem.limit", "By", "Bytes a file system has.");
const INODES: Metric = Metric::gauge("system.filesystem.inodes.usage", "{inode}", "Inodes by state.");

/// What is no file system on a disk or on the network: it holds no space of its own.
const PSEUDO: [&str; 34] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "fuse.lxcfs",
    "fuse.gvfsd-fuse",
    "fuse.portal",
    "rootfs",
    "sockfs",
    "pipefs",
    "erofs",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    /// `major:minor`, to tell bind mounts from file systems.
    pub(super) id: String,
    pub(super) point: String,
    pub(super) kind: String,
    pub(super) read_only: bool,
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw`; optional fields end at ` - `.
pub(super) fn parse(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|l| {
            let (left, right) = l.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            Some(Mount {
                id: (*left.get(2)?).to_owned(),
                point: unescape(left.get(4)?),
                read_only: left.get(5)?.split(',').any(|o| o == "ro"),
                kind: (*right.first()?).to_owned(),
                device: unescape(right.get(1)?),
            })
        })
        .collect()
}

/// Blanks and backslashes are written as octal escapes.
fn unescape(s: &str) -> String {
    let mut out = Vec::with_capacity(s.len());
    let mut bytes = s.as_bytes();
    while let Some((&b, rest)) = bytes.split_first() {
        let digits = rest.get(..3).filter(|d| b == b'\\' && d.iter().all(|c| (b'0'..b'8').contains(c)));
        match digits {
            Some(d) => {
                let value = d.iter().fold(0u32, |n, c| n * 8 + u32::from(c - b'0'));
                out.push(value as u8);
                bytes = &rest[3..];
            }
            None => {
                out.push(b);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Emits every file system once, at the shortest of its mount points.
pub(super) fn emit(e: &mut Emit, text: &str, root: &Path) {
    let mut mounts: Vec<Mount> =
        parse(text).into_iter().filter(|m| !PSEUDO.contains(&m.kind.as_str())).collect();
    mounts.sort_by_key(|m| (m.point.len(), m.point.clone()));
    let mut seen = BTreeSet::new();
    for m in mounts {
        if !seen.insert(m.id.clone()) {
            continue;
        }
        let relative = m.point.trim_start_matches('/');
        let path: PathBuf = if relative.is_empty() { root.to_owned() } else { root.join(relative) };
        // A mount that is gone meanwhile or not ours to see is no problem worth counting.
        if let Ok(s) = rustix::fs::statvfs(&path) {
            emit_one(e, &m, &s);
        }
    }
}

fn emit_one(e: &mut Emit, m: &Mount, s: &rustix::fs::StatVfs) {
    let bytes = |blocks: u64| blocks as f64 * s.f_frsize as f64;
    let used = bytes(s.f_blocks.saturating_sub(s.f_bfree));
    let free = bytes(s.f_bavail);
    let reserved = bytes(s.f_bfree.saturating_sub(s.f_bavail));
    if s.f_blocks == 0 {
        return;
    }
    let mode = if m.read_only { "ro" } else { "rw" };
    let common = [
        ("system.device", m.device.as_str()),
        ("system.filesystem.mountpoint", m.point.as_str()),
        ("system.filesystem.type", m.kind.as_str()),
        ("system.filesystem.mode", mode),
    ];
    for (state, value) in [("used", used), ("free", free), ("reserved", reserved)] {
        let [a, b, c, d] = common;
        e.push(&USAGE, &[a, b, c, d, ("system.filesystem.state", state)], value);
    }
    // As df(1) reckons: what is reserved for root is neither used nor there for others.
    if used + free > 0.0 {
        e.push(&UTILIZATION, &common, used / (used + free));
    }
    e.push(&LIMIT, &common, bytes(s.f_blocks));
    for (state, value) in [("used", s.f_files.saturating_sub(s.f_ffree)), ("free", s.f_ffree)] {
        let [a, b, c, d] = common;
        if s.f_files > 0 {
            e.push(&INODES, &[a, b, c, d, ("system.filesystem.state", state)], value as f64);
        }
    }
}
