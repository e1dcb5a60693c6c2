use std::{fs, path::Path};

use super::*;

fn fixture(root: &Path, cpu_idle: u64) -> Options {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "proc/stat",
        &format!("cpu  9 9 9 9\ncpu0 100 0 50 {cpu_idle} 0 0 0 0\nctxt 7\nprocesses 42\nprocs_running 3\n"),
    );
    write("proc/loadavg", "0.50 0.25 0.10 1/100 7\n");
    write("proc/uptime", "1234.5 1.0\n");
    write(
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemFree: 400 kB\nBuffers: 100 kB\nCached: 200 kB\nMemAvailable: 600 kB\n",
    );
    write("proc/vmstat", "pgfault 10\npgmajfault 3\n");
    write(
        "proc/diskstats",
        "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n7 0 loop0 1 2 3 4 5 6 7 8 9 10 11\n",
    );
    write("sys/block/sda/size", "1");
    write("proc/net/dev", "Inter-|\n face |\n  eth0: 10 2 0 1 0 0 0 0 20 4 0 0 0 0 0 0\n");
    Options { proc: root.join("proc"), sys: root.join("sys"), ..Options::new("box") }
}

/// Value of the series whose text form contains every part.
fn value(batch: &MetricBatch, parts: &[&str]) -> f64 {
    let mut found = batch.series.iter().enumerate().filter(|(_, l)| {
        let text = l.to_string();
        parts.iter().all(|p| text.contains(p))
    });
    let (at, _) = found.next().unwrap_or_else(|| panic!("no series with {parts:?}"));
    assert!(found.next().is_none(), "several series with {parts:?}");
    batch.samples.value[at]
}

#[test]
fn a_machine_is_read_under_opentelemetry_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(fixture(dir.path(), 850));
    let b = reader.read(5000);
    assert_eq!(
        value(&b, &["system_cpu_time_seconds_total", "cpu_mode=\"idle\"", "cpu_logical_number=\"0\""]),
        8.5
    );
    assert_eq!(value(&b, &["system_memory_usage_bytes", "state=\"used\""]), 300.0 * 1024.0);
    assert_eq!(value(&b, &["system_disk_io_bytes_total", "direction=\"write\""]), 7.0 * 512.0);
    assert_eq!(value(&b, &["system_network_io_bytes_total", "direction=\"transmit\""]), 20.0);
    assert_eq!(value(&b, &["system_paging_faults_total", "type=\"minor\""]), 7.0);
    assert_eq!(value(&b, &["system_cpu_load_average_5m"]), 0.25);
    assert_eq!(value(&b, &["system_uptime_seconds", "instance=\"box\""]), 1234.5);
    assert!(b.samples.timestamp_ms.iter().all(|t| *t == 5000));
    assert!(!b.series.iter().any(|l| l.to_string().contains("sda1") || l.to_string().contains("loop0")));
}

#[test]
fn utilization_is_the_share_of_time_between_two_readings() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(fixture(dir.path(), 850));
    let first = reader.read(0);
    assert!(!first.series.iter().any(|l| l.metric_name() == "system_cpu_utilization_ratio"));
    fixture(dir.path(), 950);
    let second = reader.read(1000);
    assert_eq!(value(&second, &["system_cpu_utilization_ratio", "cpu_mode=\"idle\""]), 1.0);
}

#[test]
fn every_family_is_described_once_and_no_series_comes_twice() {
    let dir = tempfile::tempdir().unwrap();
    let b = Reader::new(fixture(dir.path(), 1)).read(0);
    let mut families: Vec<_> = b.metadata.iter().map(|m| m.family.clone()).collect();
    let mut series: Vec<_> = b.series.iter().map(ToString::to_string).collect();
    let (f, s) = (families.len(), series.len());
    families.dedup();
    series.sort();
    series.dedup();
    assert_eq!((families.len(), series.len()), (f, s));
}

#[test]
fn a_machine_without_files_gives_nothing_and_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        Options { proc: dir.path().join("none"), sys: dir.path().join("none"), ..Options::new("x") };
    assert_eq!(Reader::new(options).read(0).item_count(), 0);
}

#[test]
fn this_machine_can_be_read() {
    let b = Reader::new(Options::new(host_name())).read(1);
    assert!(b.series.iter().any(|l| l.metric_name() == "system_memory_usage_bytes"));
    assert!(b.series.iter().any(|l| l.metric_name() == "process_memory_usage_bytes"));
}
