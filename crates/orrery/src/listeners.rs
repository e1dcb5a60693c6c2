//! From the configuration to listeners: their certificates read, their tokens known to be there.

use std::path::Path;

use anyhow::{Context, Result, bail};
use api::Token;
use base::Clock;
use net::tls::{ServerTls, TlsMetrics};

/// Everything the configuration opens. An error names the key and the file.
pub fn of(config: &config::Node, clock: &Clock, metrics: &TlsMetrics) -> Result<api::Listeners> {
    let open = |name: &'static str, at: &Option<config::Listener>| {
        at.as_ref().map(|at| listener(name, at, clock, metrics)).transpose().context(name)
    };
    if let Some(tls) = &config.tls {
        speaks_for(&tls.cert, config.cluster.as_ref().map(|c| c.as_str())).context("tls.cert")?;
    }
    let peers = open("listen.peers", &config.listen.peers)?;
    Ok(api::Listeners {
        http: open("listen.http", &config.listen.http)?,
        otlp_grpc: open("listen.otlp_grpc", &config.listen.otlp_grpc)?,
        otlp_http: open("listen.otlp_http", &config.listen.otlp_http)?,
        elasticsearch: open("listen.elasticsearch", &config.listen.elasticsearch)?,
        zipkin: open("listen.zipkin", &config.listen.zipkin)?,
        jaeger_http: open("listen.jaeger_http", &config.listen.jaeger_http)?,
        jaeger_grpc: open("listen.jaeger_grpc", &config.listen.jaeger_grpc)?,
        syslog: open("listen.syslog", &config.listen.syslog)?,
        // The configuration lets no other through.
        peers: peers.and_then(|l| Some((l.address, l.tls?))),
    })
}

fn listener(
    name: &'static str,
    at: &config::Listener,
    clock: &Clock,
    metrics: &TlsMetrics,
) -> Result<api::Listener> {
    let tls =
        at.tls.as_ref().map(|tls| ServerTls::open(name, tls, clock.clone(), metrics.clone())).transpose()?;
    let token = at.bearer_token_file.clone().map(Token::of_file);
    if let Some(token) = &token {
        token.check().map_err(anyhow::Error::msg).context("bearer_token_file")?;
    }
    Ok(api::Listener { address: at.address, tls, token })
}

/// Others believe the certificate and not the configuration, so the two must say the same.
fn speaks_for(cert: &Path, cluster: Option<&str>) -> Result<()> {
    let facts = net::certs::facts_of(cert)?;
    let shown = cert.display();
    match (facts.cluster().map_err(|e| anyhow::anyhow!("{shown} {e}"))?, cluster) {
        (Some(named), Some(own)) if named != own => {
            bail!(
                "{shown} is for cluster {named}, but cluster is {own}: issue one for {own}, or change cluster"
            )
        }
        (None, _) => bail!(
            "{shown} names no cluster, so others would refuse it: issue one by orrery certs issue, or add the URI {}<name> to its names",
            net::certs::CLUSTER_URI
        ),
        _ => Ok(()),
    }
}

/// How this node reaches its own listener.
pub fn own_client(at: Option<&config::Listener>) -> (&'static str, net::Settings) {
    let mut settings = net::Settings::default();
    let Some(at) = at else { return ("http", settings) };
    if let Some(file) = &at.bearer_token_file {
        let credentials = net::Secret::File(file.clone());
        settings.auth = net::Auth::Header { scheme: "Bearer".to_owned(), credentials };
    }
    let Some(tls) = &at.tls else { return ("http", settings) };
    // The certificate is for the name that others know, and nobody stands between a node and itself.
    settings.tls.insecure_skip_verify = true;
    if tls.client_ca.is_some() {
        settings.tls.cert = Some(net::Secret::File(tls.cert.clone()));
        settings.tls.key = Some(net::Secret::File(tls.key.clone()));
    }
    ("https", settings)
}
