//! This process: `/proc/self/{stat,io,fd}` (proc(5)).

use std::path::Path;

use super::{
    cpu::TICKS_PER_SECOND,
    points::{Family, Points},
};

const CPU: Family = Family::counter("process_cpu_time_seconds_total", "s", "CPU time of Orrery by mode.");
const MEMORY: Family = Family::gauge("process_memory_usage_bytes", "By", "Resident memory of Orrery.");
const VIRTUAL: Family = Family::gauge("process_memory_virtual_bytes", "By", "Address space of Orrery.");
const THREADS: Family = Family::gauge("process_thread_count", "{thread}", "Threads of Orrery.");
const FILES: Family =
    Family::gauge("process_open_file_descriptor_count", "{file_descriptor}", "Files Orrery has open.");
const DISK: Family =
    Family::counter("process_disk_io_bytes_total", "By", "Bytes Orrery made the disks read and write.");

pub fn points(p: &mut Points, stat: &str, io: &str, proc: &Path) {
    let me = [("process_executable_name", "orrery")];
    let with = |name, value| [me.as_slice(), &[(name, value)]].concat();
    // The second field is the name in parentheses, which may hold anything; fields are counted after it.
    if let Some((_, rest)) = stat.rsplit_once(')') {
        let f: Vec<f64> = rest.split_ascii_whitespace().map(|w| w.parse().unwrap_or(0.0)).collect();
        if let (Some(user), Some(system), Some(threads), Some(virt), Some(pages)) =
            (f.get(11), f.get(12), f.get(17), f.get(20), f.get(21))
        {
            p.push(&CPU, &with("cpu_mode", "user"), user / TICKS_PER_SECOND);
            p.push(&CPU, &with("cpu_mode", "system"), system / TICKS_PER_SECOND);
            p.push(&THREADS, &me, *threads);
            p.push(&VIRTUAL, &me, *virt);
            p.push(&MEMORY, &me, pages * rustix::param::page_size() as f64);
        }
    }
    if let Ok(entries) = std::fs::read_dir(proc.join("self/fd")) {
        p.push(&FILES, &me, entries.count() as f64);
    }
    for (key, direction) in [("read_bytes: ", "read"), ("write_bytes: ", "write")] {
        if let Some(v) = io.lines().find_map(|l| l.strip_prefix(key)?.parse().ok()) {
            p.push(&DISK, &with("disk_io_direction", direction), v);
        }
    }
}
