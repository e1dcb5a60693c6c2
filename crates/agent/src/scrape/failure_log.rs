//! A line of JSON for each failed scrape (`scrape_failure_log_file`). The file is opened for each line, so that
//! it may be moved away by whoever rotates logs.

use std::{fs::OpenOptions, io::Write, path::Path};

use serde_json::json;

use super::failure::Failure;

pub(super) fn append(
    path: &Path,
    at_ms: i64,
    job: &str,
    url: &str,
    failure: &Failure,
) -> std::io::Result<()> {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    let line = json!({
        "time": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "level": "ERROR",
        "msg": failure.to_string(),
        "job_name": job,
        "target": url,
    });
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // One write, so that lines of several targets do not mix.
    file.write_all(format!("{line}\n").as_bytes())
}
