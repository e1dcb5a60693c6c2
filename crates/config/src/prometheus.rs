//! `prometheus.yml`, schema as Prometheus has it. This version serves `global` and `scrape_configs` with static
//! targets; every other key is named in an error, never ignored.

use std::time::Duration;

use agent::scrape::{Auth, ScrapeConfig, Secret};

use transform::relabel::{Rule, RuleConfig};

use crate::{check::Checker, scalar};

/// The file as written.
pub mod written {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_saphyr::Spanned;

    use crate::{
        scalar::Scalar,
        written::{Field, NotYet},
    };

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct File {
        pub global: Global,
        pub scrape_configs: Vec<Spanned<Scrape>>,
        pub rule_files: NotYet,
        pub scrape_config_files: NotYet,
        pub alerting: NotYet,
        pub remote_write: NotYet,
        pub remote_read: NotYet,
        pub storage: NotYet,
        pub tracing: NotYet,
        pub otlp: NotYet,
        pub runtime: NotYet,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Global {
        pub scrape_interval: Field<Scalar>,
        pub scrape_timeout: Field<Scalar>,
        /// Has no meaning without rules; accepted so that a usual file works.
        pub evaluation_interval: Field<Scalar>,
        pub external_labels: Option<BTreeMap<String, String>>,
        pub body_size_limit: Field<Scalar>,
        pub sample_limit: Option<u64>,
        pub label_limit: Option<u64>,
        pub scrape_protocols: NotYet,
        pub query_log_file: NotYet,
        pub scrape_failure_log_file: NotYet,
        pub target_limit: NotYet,
        pub label_name_length_limit: NotYet,
        pub label_value_length_limit: NotYet,
        pub keep_dropped_targets: NotYet,
        pub rule_query_offset: NotYet,
        pub metric_name_validation_scheme: NotYet,
        pub metric_name_escaping_scheme: NotYet,
        pub scrape_native_histograms: NotYet,
        pub always_scrape_classic_histograms: NotYet,
        pub convert_classic_histograms_to_nhcb: NotYet,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Scrape {
        pub job_name: Field<String>,
        pub scrape_interval: Field<Scalar>,
        pub scrape_timeout: Field<Scalar>,
        pub metrics_path: Option<String>,
        pub scheme: Field<String>,
        pub params: Option<BTreeMap<String, Vec<String>>>,
        pub honor_labels: Option<bool>,
        pub honor_timestamps: Option<bool>,
        pub static_configs: Vec<Static>,
        pub relabel_configs: Vec<Spanned<Relabel>>,
        pub metric_relabel_configs: Vec<Spanned<Relabel>>,
        pub body_size_limit: Field<Scalar>,
        pub sample_limit: Option<u64>,
        pub label_limit: Option<u64>,
        pub basic_auth: Option<Spanned<BasicAuth>>,
        pub authorization: Option<Spanned<Authorization>>,
        pub bearer_token_file: Option<String>,
        pub tls_config: NotYet,
        pub oauth2: NotYet,
        pub proxy_url: NotYet,
        pub follow_redirects: NotYet,
        pub enable_http2: NotYet,
        pub enable_compression: NotYet,
        pub track_timestamps_staleness: NotYet,
        pub scrape_protocols: NotYet,
        pub fallback_scrape_protocol: NotYet,
        pub target_limit: NotYet,
        pub label_name_length_limit: NotYet,
        pub label_value_length_limit: NotYet,
        pub keep_dropped_targets: NotYet,
        pub native_histogram_bucket_limit: NotYet,
        pub native_histogram_min_bucket_factor: NotYet,
        pub file_sd_configs: NotYet,
        pub http_sd_configs: NotYet,
        pub dns_sd_configs: NotYet,
        pub kubernetes_sd_configs: NotYet,
        pub consul_sd_configs: NotYet,
        pub ec2_sd_configs: NotYet,
        pub linode_sd_configs: NotYet,
        pub docker_sd_configs: NotYet,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Static {
        pub targets: Vec<String>,
        pub labels: BTreeMap<String, String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct BasicAuth {
        pub username: Option<String>,
        pub username_file: Option<String>,
        pub password: Option<String>,
        pub password_file: Option<String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Authorization {
        #[serde(rename = "type")]
        pub kind: Option<String>,
        pub credentials: Option<String>,
        pub credentials_file: Option<String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Relabel {
        pub source_labels: Vec<String>,
        pub separator: Option<String>,
        pub regex: Option<Scalar>,
        pub modulus: Option<u64>,
        pub target_label: Option<String>,
        pub replacement: Option<Scalar>,
        pub action: Option<String>,
    }
}

/// Checks a file. For an inline one the positions are those of the file around it.
pub(crate) fn check(file: written::File, c: &mut Checker<'_>) -> Vec<ScrapeConfig> {
    for (name, key) in [
        ("rule_files", &file.rule_files),
        ("scrape_config_files", &file.scrape_config_files),
        ("alerting", &file.alerting),
        ("remote_write", &file.remote_write),
        ("remote_read", &file.remote_read),
        ("storage", &file.storage),
        ("tracing", &file.tracing),
        ("otlp", &file.otlp),
        ("runtime", &file.runtime),
    ] {
        c.not_yet(&format!("prometheus.{name}"), key);
    }
    let g = &file.global;
    for (name, key) in [
        ("scrape_protocols", &g.scrape_protocols),
        ("query_log_file", &g.query_log_file),
        ("scrape_failure_log_file", &g.scrape_failure_log_file),
        ("target_limit", &g.target_limit),
        ("label_name_length_limit", &g.label_name_length_limit),
        ("label_value_length_limit", &g.label_value_length_limit),
        ("keep_dropped_targets", &g.keep_dropped_targets),
        ("rule_query_offset", &g.rule_query_offset),
        ("metric_name_validation_scheme", &g.metric_name_validation_scheme),
        ("metric_name_escaping_scheme", &g.metric_name_escaping_scheme),
        ("scrape_native_histograms", &g.scrape_native_histograms),
        ("always_scrape_classic_histograms", &g.always_scrape_classic_histograms),
        ("convert_classic_histograms_to_nhcb", &g.convert_classic_histograms_to_nhcb),
    ] {
        c.not_yet(&format!("prometheus.global.{name}"), key);
    }
    c.duration("prometheus.global.evaluation_interval", &g.evaluation_interval, Duration::from_secs(60));
    let interval =
        c.duration("prometheus.global.scrape_interval", &g.scrape_interval, Duration::from_secs(60));
    let timeout = c.duration("prometheus.global.scrape_timeout", &g.scrape_timeout, Duration::from_secs(10));
    // Zero is unset, as in Prometheus.
    let or = |d: Duration, seconds| if d.is_zero() { Duration::from_secs(seconds) } else { d };
    let (interval, timeout) = (or(interval, 60), or(timeout, 10));
    let mut jobs: Vec<ScrapeConfig> = Vec::new();
    for s in &file.scrape_configs {
        let line = s.referenced;
        let job = scrape(&s.value, g, (interval, timeout), c);
        if job.job_name.is_empty() {
            c.problem(
                "prometheus.scrape_configs.job_name",
                line,
                "is missing or empty; every job needs a name",
            );
        } else if jobs.iter().any(|j| j.job_name == job.job_name) {
            let message = format!(
                "{:?} is used by another scrape_configs entry; give each a name of its own",
                job.job_name
            );
            c.problem("prometheus.scrape_configs.job_name", line, message);
        }
        jobs.push(job);
    }
    jobs
}

fn scrape(
    s: &written::Scrape,
    g: &written::Global,
    defaults: (Duration, Duration),
    c: &mut Checker<'_>,
) -> ScrapeConfig {
    const AT: &str = "prometheus.scrape_configs";
    for (name, key) in [
        ("tls_config", &s.tls_config),
        ("oauth2", &s.oauth2),
        ("proxy_url", &s.proxy_url),
        ("follow_redirects", &s.follow_redirects),
        ("enable_http2", &s.enable_http2),
        ("enable_compression", &s.enable_compression),
        ("track_timestamps_staleness", &s.track_timestamps_staleness),
        ("scrape_protocols", &s.scrape_protocols),
        ("fallback_scrape_protocol", &s.fallback_scrape_protocol),
        ("target_limit", &s.target_limit),
        ("label_name_length_limit", &s.label_name_length_limit),
        ("label_value_length_limit", &s.label_value_length_limit),
        ("keep_dropped_targets", &s.keep_dropped_targets),
        ("native_histogram_bucket_limit", &s.native_histogram_bucket_limit),
        ("native_histogram_min_bucket_factor", &s.native_histogram_min_bucket_factor),
        ("file_sd_configs", &s.file_sd_configs),
        ("http_sd_configs", &s.http_sd_configs),
        ("dns_sd_configs", &s.dns_sd_configs),
        ("kubernetes_sd_configs", &s.kubernetes_sd_configs),
        ("consul_sd_configs", &s.consul_sd_configs),
        ("ec2_sd_configs", &s.ec2_sd_configs),
        ("linode_sd_configs", &s.linode_sd_configs),
        ("docker_sd_configs", &s.docker_sd_configs),
    ] {
        c.not_yet(&format!("{AT}.{name}"), key);
    }
    let interval = c.duration(&format!("{AT}.scrape_interval"), &s.scrape_interval, defaults.0);
    let timeout = c.duration(&format!("{AT}.scrape_timeout"), &s.scrape_timeout, defaults.1.min(interval));
    for (key, field, zero) in
        [("scrape_interval", &s.scrape_interval, interval), ("scrape_timeout", &s.scrape_timeout, timeout)]
    {
        if let Some(f) = field
            && zero.is_zero()
        {
            c.problem(&format!("{AT}.{key}"), f.referenced, "must be more than zero");
        }
    }
    if timeout > interval
        && let Some(f) = &s.scrape_timeout
    {
        c.problem(&format!("{AT}.scrape_timeout"), f.referenced, "must not be longer than scrape_interval");
    }
    let scheme = match &s.scheme {
        Some(v) if v.value != "http" && v.value != "https" => {
            c.problem(
                &format!("{AT}.scheme"),
                v.referenced,
                format!("{:?} is not known, use http or https", v.value),
            );
            "http".to_owned()
        }
        Some(v) => v.value.clone(),
        None => "http".to_owned(),
    };
    let limit = match &s.body_size_limit {
        None => &g.body_size_limit,
        own => own,
    };
    ScrapeConfig {
        job_name: s.job_name.as_ref().map(|n| n.value.clone()).unwrap_or_default(),
        interval,
        timeout,
        metrics_path: s.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned()),
        scheme,
        params: s.params.clone().unwrap_or_default(),
        honor_labels: s.honor_labels.unwrap_or(false),
        honor_timestamps: s.honor_timestamps.unwrap_or(true),
        targets: s
            .static_configs
            .iter()
            .flat_map(|g| g.targets.iter().map(|t| (t.clone(), g.labels.clone())))
            .collect(),
        relabel: relabels(&s.relabel_configs, "relabel_configs", c),
        metric_relabel: relabels(&s.metric_relabel_configs, "metric_relabel_configs", c),
        body_size_limit: c.bytes(&format!("{AT}.body_size_limit"), limit, 0),
        sample_limit: s.sample_limit.or(g.sample_limit).unwrap_or(0),
        label_limit: s.label_limit.or(g.label_limit).unwrap_or(0),
        auth: auth(s, c),
    }
}

fn auth(s: &written::Scrape, c: &mut Checker<'_>) -> Auth {
    const AT: &str = "prometheus.scrape_configs";
    let secret = |inline: &Option<String>, file: &Option<String>| match (inline, file) {
        (Some(s), _) => Some(Secret::Inline(s.clone())),
        (None, Some(f)) => Some(Secret::File(c.resolve(f))),
        (None, None) => None,
    };
    if let Some(b) = &s.basic_auth {
        let (user, password) = (
            secret(&b.value.username, &b.value.username_file),
            secret(&b.value.password, &b.value.password_file),
        );
        if user.is_none() || (s.authorization.is_some() || s.bearer_token_file.is_some()) {
            let message =
                "needs a username or username_file, and excludes authorization and bearer_token_file";
            c.problem(&format!("{AT}.basic_auth"), b.referenced, message);
        }
        let empty = || Secret::Inline(String::new());
        return Auth::Basic {
            username: user.unwrap_or_else(empty),
            password: password.unwrap_or_else(empty),
        };
    }
    if let Some(a) = &s.authorization {
        let scheme = a.value.kind.clone().unwrap_or_else(|| "Bearer".to_owned());
        let Some(credentials) = secret(&a.value.credentials, &a.value.credentials_file) else {
            c.problem(&format!("{AT}.authorization"), a.referenced, "needs credentials or credentials_file");
            return Auth::None;
        };
        return Auth::Header { scheme, credentials };
    }
    match secret(&None, &s.bearer_token_file) {
        Some(credentials) => Auth::Header { scheme: "Bearer".to_owned(), credentials },
        None => Auth::None,
    }
}

fn relabels(rules: &[serde_saphyr::Spanned<written::Relabel>], key: &str, c: &mut Checker<'_>) -> Vec<Rule> {
    let defaults = RuleConfig::default();
    let text =
        |s: &Option<scalar::Scalar>, default: &str| s.as_ref().map_or(default.to_owned(), |s| s.0.clone());
    let mut out = Vec::new();
    for r in rules {
        let w = &r.value;
        let rule = Rule::new(RuleConfig {
            source_labels: w.source_labels.clone(),
            separator: w.separator.clone().unwrap_or_else(|| defaults.separator.clone()),
            regex: text(&w.regex, &defaults.regex),
            modulus: w.modulus.unwrap_or(0),
            target_label: w.target_label.clone().unwrap_or_default(),
            replacement: text(&w.replacement, &defaults.replacement),
            action: w.action.clone().unwrap_or_else(|| defaults.action.clone()),
        });
        match rule {
            Ok(rule) => out.push(rule),
            Err(e) => c.problem(&format!("prometheus.scrape_configs.{key}"), r.referenced, e.to_string()),
        }
    }
    out
}
