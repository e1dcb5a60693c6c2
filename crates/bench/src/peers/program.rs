//! The programs that can be measured: how each is started, asked, and made to write down what it holds.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    Orrery,
    Prometheus,
    VictoriaMetrics,
}

/// A program at a path.
#[derive(Debug, Clone)]
pub struct Binary {
    pub program: Program,
    pub path: PathBuf,
}

impl FromStr for Binary {
    type Err = String;

    /// `orrery=PATH`, `prometheus=PATH` or `victoria-metrics=PATH`.
    fn from_str(s: &str) -> Result<Self, String> {
        let (name, path) = s.split_once('=').ok_or_else(|| format!("{s:?} is not PROGRAM=PATH"))?;
        let all = [Program::Orrery, Program::Prometheus, Program::VictoriaMetrics];
        let program = all.into_iter().find(|p| p.as_str() == name);
        let program =
            program.ok_or_else(|| format!("{name:?} is none of orrery, prometheus, victoria-metrics"))?;
        Ok(Binary { program, path: PathBuf::from(path) })
    }
}

/// What is done after the load, so that everything is on the disk as it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// Asked to write everything down, stopped and started; then it merges, and a snapshot is measured.
    Restart,
    /// Asked to write everything as blocks beside its data, which are what is measured.
    Snapshot,
    /// Asked to flush and merge.
    Merge,
}

impl Program {
    pub fn as_str(self) -> &'static str {
        match self {
            Program::Orrery => "orrery",
            Program::Prometheus => "prometheus",
            Program::VictoriaMetrics => "victoria-metrics",
        }
    }

    pub(super) fn version_flag(self) -> &'static str {
        "--version"
    }

    pub(super) fn ready_path(self) -> &'static str {
        match self {
            Program::VictoriaMetrics => "/health",
            _ => "/-/ready",
        }
    }

    /// Arguments that serve `dir` on `port`, and a configuration file to write first. Everything is kept for
    /// ever, nothing is scraped, and no answer comes from a cache of answers.
    pub(super) fn start(self, dir: &Path, port: u16) -> (Vec<String>, Option<(PathBuf, String)>) {
        let address = format!("127.0.0.1:{port}");
        let data = dir.join("data");
        match self {
            Program::Orrery => {
                let file = dir.join("orrery.yaml");
                let text = format!(
                    "data_dir: data\nhttp: {{enable_admin: true}}\nlisten: {{http: \"{address}\", otlp_grpc: off, otlp_http: off}}\nretention: {{metrics: 0, logs: 0, traces: 0}}\n\
                     collect: {{host: {{enabled: false}}, files: {{paths: []}}, pods: {{path: \"\"}}, traces: {{enabled: false}}, defaults: false}}\n"
                );
                let args = vec!["run".to_owned(), "--config".to_owned(), file.display().to_string()];
                (args, Some((file, text)))
            }
            Program::Prometheus => {
                let file = dir.join("prometheus.yml");
                let args = vec![
                    format!("--config.file={}", file.display()),
                    format!("--storage.tsdb.path={}", data.display()),
                    format!("--web.listen-address={address}"),
                    "--web.enable-remote-write-receiver".to_owned(),
                    "--web.enable-admin-api".to_owned(),
                    "--storage.tsdb.retention.time=10y".to_owned(),
                    "--log.level=error".to_owned(),
                ];
                (args, Some((file, "global: {scrape_interval: 15s}\n".to_owned())))
            }
            Program::VictoriaMetrics => {
                let args = vec![
                    format!("-storageDataPath={}", data.display()),
                    format!("-httpListenAddr={address}"),
                    "-retentionPeriod=10y".to_owned(),
                    "-search.disableCache=true".to_owned(),
                    "-search.latencyOffset=0s".to_owned(),
                    "-loggerLevel=ERROR".to_owned(),
                ];
                (args, None)
            }
        }
    }

    pub(super) fn settling(self) -> Settled {
        match self {
            Program::Orrery => Settled::Restart,
            Program::Prometheus => Settled::Snapshot,
            Program::VictoriaMetrics => Settled::Merge,
        }
    }

    /// The directories whose files hold samples and what finds them.
    pub(super) fn stored_in(self, dir: &Path) -> Vec<PathBuf> {
        let data = dir.join("data");
        match self {
            Program::Orrery => vec![data.join("objects"), data.join("wal")],
            Program::Prometheus => vec![data.join("snapshots")],
            Program::VictoriaMetrics => vec![data.join("data"), data.join("indexdb")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_a_known_program_and_a_path() {
        let b: Binary = "victoria-metrics=/usr/bin/vm".parse().unwrap();
        assert_eq!((b.program, b.path), (Program::VictoriaMetrics, PathBuf::from("/usr/bin/vm")));
        assert!("grafana=/x".parse::<Binary>().unwrap_err().contains("none of"));
        assert!("orrery".parse::<Binary>().is_err());
    }
}
