//! `listen` and `tls`: where a node listens, what it shows there, and what it shows to other clusters.
//!
//! A listener is an address or `off`, or a mapping with `address`, `tls`, `client_ca` and the rest. Whatever can
//! be reached from other machines needs TLS, a token, or `insecure: true`.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

use net::tls::{ClientSettings, MinVersion, ServerSettings};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Location;

use crate::{check::Checker, scalar::Scalar, written::Field};

/// As written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    pub http: Field<WrittenListener>,
    pub otlp_grpc: Field<WrittenListener>,
    pub otlp_http: Field<WrittenListener>,
    pub peers: Field<WrittenListener>,
    pub elasticsearch: Field<WrittenListener>,
    pub syslog: Field<WrittenListener>,
    pub zipkin: Field<WrittenListener>,
    pub jaeger_http: Field<WrittenListener>,
    pub jaeger_grpc: Field<WrittenListener>,
}

/// An address, or everything about a listener.
#[derive(Debug)]
pub enum WrittenListener {
    Address(Scalar),
    Full(Box<Full>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Full {
    pub address: Field<Scalar>,
    pub tls: Field<Pair>,
    pub client_ca: Field<String>,
    pub min_version: Field<Scalar>,
    pub deny: Field<String>,
    pub bearer_token_file: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pair {
    pub cert: Field<String>,
    pub key: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenTls {
    pub cert: Field<String>,
    pub key: Field<String>,
    pub ca: Field<String>,
    pub min_version: Field<Scalar>,
    pub deny: Field<String>,
}

impl<'de> Deserialize<'de> for WrittenListener {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> de::Visitor<'de> for V {
            type Value = WrittenListener;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("host:port, off, or a mapping with address and tls")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<WrittenListener, E> {
                Ok(WrittenListener::Address(Scalar(v.to_owned())))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<WrittenListener, E> {
                self.visit_str(&v.to_string())
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<WrittenListener, E> {
                self.visit_str(&v.to_string())
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<WrittenListener, E> {
                self.visit_str(&v.to_string())
            }

            fn visit_bool<E: de::Error>(self, v: bool) -> Result<WrittenListener, E> {
                self.visit_str(&v.to_string())
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<WrittenListener, A::Error> {
                let full = Full::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(WrittenListener::Full(Box::new(full)))
            }
        }
        d.deserialize_any(V)
    }
}

/// Where the node listens; `None` is off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listen {
    pub http: Option<Listener>,
    pub otlp_grpc: Option<Listener>,
    pub otlp_http: Option<Listener>,
    /// Off where nothing is said, as the next four.
    pub elasticsearch: Option<Listener>,
    pub zipkin: Option<Listener>,
    pub jaeger_http: Option<Listener>,
    pub jaeger_grpc: Option<Listener>,
    pub syslog: Option<Listener>,
    /// Other nodes; has TLS and wants their certificates whenever it is there.
    pub peers: Option<Listener>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: Option<ServerSettings>,
    /// Every request must carry the token that stands in this file.
    pub bearer_token_file: Option<PathBuf>,
}

impl Checker<'_> {
    /// This node towards other clusters.
    pub(crate) fn tls(&mut self, f: &Field<WrittenTls>) -> Option<ClientSettings> {
        let s = f.as_ref()?;
        let (w, at) = (&s.value, s.referenced);
        let mut need = |key: &str, file: &Field<String>| {
            let path = self.file(file);
            if path.is_none() {
                self.problem(
                    "tls",
                    at,
                    format!("needs {key}: tls is {{cert, key, ca}}, each the name of a file"),
                );
            }
            path
        };
        let (cert, key, ca) = (need("cert", &w.cert), need("key", &w.key), need("ca", &w.ca));
        let (deny, min_version) = (self.file(&w.deny), self.min_version("tls.min_version", &w.min_version));
        Some(ClientSettings {
            cert: cert?,
            key: key?,
            ca: ca?,
            deny,
            min_version: min_version.unwrap_or_default(),
        })
    }

    pub(crate) fn listen(
        &mut self,
        w: &Written,
        tls: Option<&ClientSettings>,
        given: bool,
        insecure: bool,
    ) -> Listen {
        Listen {
            http: self.listener("listen.http", &w.http, "127.0.0.1:9494", insecure),
            otlp_grpc: self.listener("listen.otlp_grpc", &w.otlp_grpc, "127.0.0.1:4317", insecure),
            otlp_http: self.listener("listen.otlp_http", &w.otlp_http, "127.0.0.1:4318", insecure),
            elasticsearch: self.asked_for(
                "listen.elasticsearch",
                &w.elasticsearch,
                "127.0.0.1:9200",
                insecure,
            ),
            zipkin: self.asked_for("listen.zipkin", &w.zipkin, "127.0.0.1:9411", insecure),
            jaeger_http: self.asked_for("listen.jaeger_http", &w.jaeger_http, "127.0.0.1:14268", insecure),
            jaeger_grpc: self.asked_for("listen.jaeger_grpc", &w.jaeger_grpc, "127.0.0.1:14250", insecure),
            syslog: self.syslog(&w.syslog, insecure),
            peers: self.peers(&w.peers, tls, given),
        }
    }

    /// A listener that is off where nothing is said.
    fn asked_for(
        &mut self,
        field: &str,
        f: &Field<WrittenListener>,
        default: &str,
        insecure: bool,
    ) -> Option<Listener> {
        f.as_ref().and_then(|_| self.listener(field, f, default, insecure))
    }

    /// Senders of syslog have no place for a token.
    fn syslog(&mut self, f: &Field<WrittenListener>, insecure: bool) -> Option<Listener> {
        const FIELD: &str = "listen.syslog";
        let written = f.as_ref()?;
        if let WrittenListener::Full(full) = &written.value
            && let Some(token) = &full.bearer_token_file
        {
            let message = "takes no bearer_token_file, which syslog cannot carry: use client_ca";
            self.problem(FIELD, token.referenced, message);
        }
        self.listener(FIELD, f, "127.0.0.1:5514", insecure)
    }

    fn listener(
        &mut self,
        field: &str,
        f: &Field<WrittenListener>,
        default: &str,
        insecure: bool,
    ) -> Option<Listener> {
        let Some(s) = f else {
            return default.parse().ok().map(|address| Listener {
                address,
                tls: None,
                bearer_token_file: None,
            });
        };
        let (address, at, full) = match &s.value {
            WrittenListener::Address(a) => (a.0.as_str(), s.referenced, None),
            WrittenListener::Full(full) => {
                let at = full.address.as_ref().map_or(s.referenced, |a| a.referenced);
                (full.address.as_ref().map_or(default, |a| a.value.0.as_str()), at, Some(full.as_ref()))
            }
        };
        let address = self.address(field, address, at)?;
        let tls = full.and_then(|full| self.server(field, full, s.referenced));
        let bearer_token_file = full.and_then(|full| self.file(&full.bearer_token_file));
        let asked_for_tls = full.is_some_and(|full| full.tls.is_some());
        if !address.ip().is_loopback() && !insecure && !asked_for_tls && bearer_token_file.is_none() {
            self.problem(
                field,
                at,
                format!(
                    "{address} is reachable from other machines without TLS; add tls: {{cert, key}} or a \
                     bearer_token_file, use 127.0.0.1 behind a proxy, or set insecure: true"
                ),
            );
        }
        Some(Listener { address, tls, bearer_token_file })
    }

    /// An address; none where it is off or cannot be one.
    fn address(&mut self, field: &str, text: &str, at: Location) -> Option<SocketAddr> {
        if text == "off" || text == "false" {
            return None;
        }
        let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
        let address = text.to_socket_addrs().ok().and_then(|mut a| a.next());
        if address.is_none() {
            self.problem(field, at, format!("{text:?} is not host:port or off"));
        }
        address
    }

    /// TLS of a listener that has its own.
    fn server(&mut self, field: &str, w: &Full, at: Location) -> Option<ServerSettings> {
        let Some(pair) = &w.tls else {
            let needless = [
                ("client_ca", w.client_ca.is_some()),
                ("min_version", w.min_version.is_some()),
                ("deny", w.deny.is_some()),
            ];
            for (key, _) in needless.iter().filter(|(_, given)| *given) {
                self.problem(field, at, format!("{key} means nothing without tls: {{cert, key}}"));
            }
            return None;
        };
        let (cert, key) = (self.file(&pair.value.cert), self.file(&pair.value.key));
        if cert.is_none() || key.is_none() {
            self.problem(
                &format!("{field}.tls"),
                pair.referenced,
                "needs cert and key, each the name of a file",
            );
        }
        if let (Some(deny), None) = (&w.deny, &w.client_ca) {
            let message =
                "means nothing without client_ca: only callers that show a certificate can be refused by it";
            self.problem(&format!("{field}.deny"), deny.referenced, message);
        }
        let min_version =
            self.min_version(&format!("{field}.min_version"), &w.min_version).unwrap_or_default();
        let (client_ca, deny) = (self.file(&w.client_ca), self.file(&w.deny));
        Some(ServerSettings { cert: cert?, key: key?, client_ca, deny, min_version, require_cluster: false })
    }

    /// The listener for other nodes: what it does not say itself it has from `tls`.
    fn peers(
        &mut self,
        f: &Field<WrittenListener>,
        tls: Option<&ClientSettings>,
        given: bool,
    ) -> Option<Listener> {
        const FIELD: &str = "listen.peers";
        const DEFAULT: &str = "0.0.0.0:9495";
        let Some(s) = f else {
            let (address, tls) = (DEFAULT.parse().ok()?, tls.map(mutual)?);
            return Some(Listener { address, tls: Some(tls), bearer_token_file: None });
        };
        let none = Full::default();
        let (text, at, full) = match &s.value {
            WrittenListener::Address(a) => (a.0.as_str(), s.referenced, &none),
            WrittenListener::Full(full) => {
                let at = full.address.as_ref().map_or(s.referenced, |a| a.referenced);
                (full.address.as_ref().map_or(DEFAULT, |a| a.value.0.as_str()), at, full.as_ref())
            }
        };
        let address = self.address(FIELD, text, at)?;
        if let Some(token) = &full.bearer_token_file {
            self.problem(
                FIELD,
                token.referenced,
                "takes no bearer_token_file: other nodes show certificates",
            );
        }
        let base = tls.map(mutual);
        let own = match full.tls {
            Some(_) => self.server(FIELD, full, s.referenced),
            None => None,
        };
        let min_version = self.min_version("listen.peers.min_version", &full.min_version);
        let client_ca = self.file(&full.client_ca).or_else(|| tls.map(|t| t.ca.clone()));
        let deny = self.file(&full.deny).or_else(|| tls.and_then(|t| t.deny.clone()));
        let pair = own.or(base);
        if pair.is_none() || client_ca.is_none() {
            // What is wrong with `tls` itself was said where it stands.
            if !given && full.tls.is_none() {
                let message =
                    "speaks mutual TLS only: add tls: {cert, key, ca} to the configuration, or say off";
                self.problem(FIELD, at, message);
            } else if client_ca.is_none() && full.tls.is_some() {
                self.problem(
                    FIELD,
                    at,
                    "speaks mutual TLS only: add client_ca, whose certificates other nodes show",
                );
            }
            return None;
        }
        let settings = pair.map(|p| ServerSettings {
            client_ca,
            deny,
            min_version: min_version.unwrap_or(p.min_version),
            require_cluster: true,
            ..p
        });
        Some(Listener { address, tls: settings, bearer_token_file: None })
    }

    fn min_version(&mut self, field: &str, f: &Field<Scalar>) -> Option<MinVersion> {
        let s = f.as_ref()?;
        match s.value.0.as_str() {
            "1.2" => Some(MinVersion::Tls12),
            "1.3" => Some(MinVersion::Tls13),
            other => {
                self.problem(field, s.referenced, format!("{other:?} is not known, use \"1.2\" or \"1.3\""));
                None
            }
        }
    }

    /// A file, relative to the configuration.
    fn file(&self, f: &Field<String>) -> Option<PathBuf> {
        f.as_ref().filter(|s| !s.value.is_empty()).map(|s| self.resolve(&s.value))
    }
}

/// What this node shows to others, shown to those who call it.
fn mutual(tls: &ClientSettings) -> ServerSettings {
    ServerSettings {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        client_ca: Some(tls.ca.clone()),
        deny: tls.deny.clone(),
        min_version: tls.min_version,
        require_cluster: true,
    }
}

#[cfg(test)]
mod tests;
