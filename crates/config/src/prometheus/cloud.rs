//! Discoveries that do not run here: their sections are checked, so that a mistake is found where it would be
//! found by Prometheus, and each is named in a notice. The table below is their schema
//! (`prometheus.io/docs/prometheus/latest/configuration`).

use std::collections::BTreeMap;

use super::{
    discovery::check_http_url,
    http::{HttpClient, http, tls_key},
    kubernetes,
    section::Section,
};
use crate::check::Checker;

/// What a key holds.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    Text,
    Number,
    Flag,
    Duration,
    Texts,
    Map,
    /// A list of `{name, values}`.
    Filters,
}

use Holds::{Duration, Filters, Flag, Map, Number, Text, Texts};

/// Which client keys are inlined.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    Whole,
    TlsOnly,
    None,
}

struct Mechanism {
    /// Without `_sd_configs`.
    name: &'static str,
    client: Client,
    /// Beside `refresh_interval` and `port`, which nearly all have.
    keys: &'static [(&'static str, Holds)],
    /// Keys that must not be empty.
    needs: &'static [&'static str],
    /// Keys with a closed set of values, and the one taken where the key is absent; empty where it may not be.
    one_of: &'static [(&'static str, &'static [&'static str], &'static str)],
    more: fn(&Given<'_>, &mut Checker<'_>),
}

/// The values of one section.
struct Given<'s> {
    section: &'s Section<'s>,
    texts: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, Vec<String>>,
    client: Option<HttpClient>,
}

impl Given<'_> {
    fn has(&self, key: &str) -> bool {
        self.texts.contains_key(key)
    }

    fn wrong(&self, c: &mut Checker<'_>, message: &str) {
        self.section.wrong(c, message);
    }
}

const NOTHING: fn(&Given<'_>, &mut Checker<'_>) = |_, _| {};
const AWS: &[(&str, Holds)] = &[
    ("endpoint", Text),
    ("region", Text),
    ("access_key", Text),
    ("secret_key", Text),
    ("profile", Text),
    ("role_arn", Text),
    ("external_id", Text),
    ("filters", Filters),
    ("clusters", Texts),
    ("request_concurrency", Number),
    ("role", Text),
];
const ZOOKEEPER: &[(&str, Holds)] = &[("servers", Texts), ("paths", Texts), ("timeout", Duration)];

const fn mechanism(
    name: &'static str,
    client: Client,
    keys: &'static [(&'static str, Holds)],
    needs: &'static [&'static str],
) -> Mechanism {
    Mechanism { name, client, keys, needs, one_of: &[], more: NOTHING }
}

const ALL: &[Mechanism] = &[
    Mechanism {
        one_of: &[("role", &["ec2", "ecs", "elasticache", "lightsail", "msk", "rds"], "")],
        more: filter_values,
        ..mechanism("aws", Client::Whole, AWS, &[])
    },
    Mechanism { more: filter_values, ..mechanism("ec2", Client::Whole, AWS, &[]) },
    mechanism("ecs", Client::Whole, AWS, &[]),
    mechanism("elasticache", Client::Whole, AWS, &[]),
    mechanism("lightsail", Client::Whole, AWS, &[]),
    mechanism("msk", Client::Whole, AWS, &[]),
    mechanism("rds", Client::Whole, AWS, &[]),
    Mechanism {
        one_of: &[(
            "authentication_method",
            &["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"],
            "OAuth",
        )],
        more: azure,
        ..mechanism(
            "azure",
            Client::Whole,
            &[
                ("environment", Text),
                ("subscription_id", Text),
                ("tenant_id", Text),
                ("client_id", Text),
                ("client_secret", Text),
                ("authentication_method", Text),
                ("resource_group", Text),
            ],
            &["subscription_id"],
        )
    },
    Mechanism {
        more: consul,
        ..mechanism(
            "consul",
            Client::Whole,
            &[
                ("server", Text),
                ("path_prefix", Text),
                ("token", Text),
                ("datacenter", Text),
                ("namespace", Text),
                ("partition", Text),
                ("tag_separator", Text),
                ("scheme", Text),
                ("username", Text),
                ("password", Text),
                ("allow_stale", Flag),
                ("services", Texts),
                ("tags", Texts),
                ("node_meta", Map),
                ("filter", Text),
                ("health_filter", Text),
            ],
            &[],
        )
    },
    Mechanism {
        one_of: &[("role", &["droplets", "databases"], "droplets")],
        ..mechanism("digitalocean", Client::Whole, &[("role", Text)], &[])
    },
    mechanism(
        "docker",
        Client::Whole,
        &[
            ("host", Text),
            ("filters", Filters),
            ("host_networking_host", Text),
            ("match_first_network", Flag),
        ],
        &["host"],
    ),
    Mechanism {
        one_of: &[("role", &["services", "nodes", "tasks"], "")],
        ..mechanism(
            "dockerswarm",
            Client::Whole,
            &[("host", Text), ("role", Text), ("filters", Filters)],
            &["host"],
        )
    },
    Mechanism {
        more: |g, c| url_with_host(g, "server", c),
        ..mechanism("eureka", Client::Whole, &[("server", Text)], &["server"])
    },
    mechanism(
        "gce",
        Client::None,
        &[("project", Text), ("zone", Text), ("filter", Text), ("tag_separator", Text)],
        &["project", "zone"],
    ),
    Mechanism {
        one_of: &[("role", &["robot", "hcloud"], "")],
        ..mechanism("hetzner", Client::Whole, &[("role", Text), ("label_selector", Text)], &[])
    },
    mechanism("ionos", Client::Whole, &[("datacenter_id", Text)], &["datacenter_id"]),
    Mechanism {
        more: |g, c| url_with_host(g, "server", c),
        ..mechanism(
            "kuma",
            Client::Whole,
            &[("server", Text), ("fetch_timeout", Duration), ("client_id", Text)],
            &["server"],
        )
    },
    mechanism("linode", Client::Whole, &[("tag_separator", Text), ("region", Text)], &[]),
    Mechanism {
        more: marathon,
        ..mechanism(
            "marathon",
            Client::Whole,
            &[("servers", Texts), ("auth_token", Text), ("auth_token_file", Text)],
            &["servers"],
        )
    },
    Mechanism { more: zookeeper, ..mechanism("nerve", Client::None, ZOOKEEPER, &["servers", "paths"]) },
    Mechanism { more: zookeeper, ..mechanism("serverset", Client::None, ZOOKEEPER, &["servers", "paths"]) },
    mechanism(
        "nomad",
        Client::Whole,
        &[
            ("allow_stale", Flag),
            ("namespace", Text),
            ("region", Text),
            ("server", Text),
            ("tag_separator", Text),
        ],
        &[],
    ),
    Mechanism {
        one_of: &[("auth", &["api_key", "instance_principal"], "api_key")],
        more: oci,
        ..mechanism(
            "oci",
            Client::Whole,
            &[
                ("auth", Text),
                ("tenancy", Text),
                ("user", Text),
                ("fingerprint", Text),
                ("key_file", Text),
                ("key_passphrase", Text),
                ("key_passphrase_file", Text),
                ("region", Text),
                ("compartments", Texts),
            ],
            &["region"],
        )
    },
    Mechanism {
        one_of: &[
            ("role", &["hypervisor", "instance", "loadbalancer"], ""),
            ("availability", &["public", "internal", "admin"], "public"),
        ],
        ..mechanism(
            "openstack",
            Client::TlsOnly,
            &[
                ("identity_endpoint", Text),
                ("username", Text),
                ("userid", Text),
                ("password", Text),
                ("project_name", Text),
                ("project_id", Text),
                ("domain_name", Text),
                ("domain_id", Text),
                ("application_credential_name", Text),
                ("application_credential_id", Text),
                ("application_credential_secret", Text),
                ("role", Text),
                ("region", Text),
                ("all_tenants", Flag),
                ("availability", Text),
            ],
            &["region"],
        )
    },
    Mechanism {
        more: one_secret_key,
        ..mechanism(
            "outscale",
            Client::Whole,
            &[
                ("endpoint", Text),
                ("region", Text),
                ("access_key", Text),
                ("secret_key", Text),
                ("secret_key_file", Text),
            ],
            &["region", "access_key"],
        )
    },
    Mechanism {
        one_of: &[("service", &["dedicated_server", "vps"], "")],
        ..mechanism(
            "ovhcloud",
            Client::None,
            &[
                ("endpoint", Text),
                ("application_key", Text),
                ("application_secret", Text),
                ("consumer_key", Text),
                ("service", Text),
            ],
            &["application_key", "application_secret", "consumer_key"],
        )
    },
    Mechanism {
        more: |g, c| {
            if let Some(url) = g.texts.get("url") {
                check_http_url(g.section, "url", url, c);
            }
        },
        ..mechanism(
            "puppetdb",
            Client::Whole,
            &[("url", Text), ("query", Text), ("include_parameters", Flag)],
            &["url", "query"],
        )
    },
    Mechanism {
        one_of: &[("role", &["instance", "baremetal"], "")],
        more: one_secret_key,
        ..mechanism(
            "scaleway",
            Client::Whole,
            &[
                ("project_id", Text),
                ("api_url", Text),
                ("zone", Text),
                ("access_key", Text),
                ("secret_key", Text),
                ("secret_key_file", Text),
                ("name_filter", Text),
                ("tags_filter", Texts),
                ("role", Text),
            ],
            &["project_id", "access_key"],
        )
    },
    Mechanism {
        more: |g, c| {
            if let Some(endpoint) = g.texts.get("endpoint")
                && !parses(endpoint)
            {
                g.section.problem("endpoint", c, format!("{endpoint:?} is not a URL"));
            }
        },
        ..mechanism(
            "stackit",
            Client::Whole,
            &[
                ("project", Text),
                ("region", Text),
                ("endpoint", Text),
                ("service_account_key", Text),
                ("private_key", Text),
                ("service_account_key_path", Text),
                ("private_key_path", Text),
                ("credentials_file_path", Text),
            ],
            &[],
        )
    },
    Mechanism {
        one_of: &[("role", &["container", "cn"], "container")],
        ..mechanism(
            "triton",
            Client::TlsOnly,
            &[
                ("account", Text),
                ("role", Text),
                ("dns_suffix", Text),
                ("endpoint", Text),
                ("groups", Texts),
                ("version", Number),
            ],
            &["account", "dns_suffix", "endpoint"],
        )
    },
    mechanism(
        "uyuni",
        Client::Whole,
        &[
            ("server", Text),
            ("username", Text),
            ("password", Text),
            ("entitlement", Text),
            ("separator", Text),
        ],
        &["server", "username", "password"],
    ),
    mechanism("vultr", Client::Whole, &[], &[]),
];

/// Checks and names every discovery of a section that does not run here.
pub(super) fn check(s: &mut Section<'_>, c: &mut Checker<'_>) {
    kubernetes::check(s, c);
    for m in ALL {
        let key = format!("{}_sd_configs", m.name);
        for section in s.sections(&key, c) {
            c.notice(&section.field.clone(), section.at, NOT_RUN);
            m.check(section, c);
        }
    }
}

/// What is said of a discovery that does not run.
pub(super) const NOT_RUN: &str =
    "is not supported by this version and finds no targets; the other discoveries of the job go on";

impl Mechanism {
    fn check(&self, mut s: Section<'_>, c: &mut Checker<'_>) {
        let client = match self.client {
            Client::Whole => Some(http(&mut s, c)),
            Client::TlsOnly => {
                tls_key(&mut s, c);
                None
            }
            Client::None => None,
        };
        s.duration("refresh_interval", c);
        s.integer("port", c);
        let (texts, lists) = take(&mut s, self.keys, c);
        for (key, values, default) in self.one_of {
            let value = texts.get(key).map_or(*default, String::as_str);
            if !values.contains(&value) {
                let message = match value {
                    "" => format!("needs a {key}, one of {}", values.join(", ")),
                    v => format!("{key} {v:?} is not known, use {}", values.join(", ")),
                };
                s.problem(key, c, message);
            }
        }
        let is_there = |key: &str| texts.contains_key(key) || lists.get(key).is_some_and(|l| !l.is_empty());
        for key in self.needs.iter().filter(|k| !is_there(k)) {
            s.wrong(c, format!("needs a {key}"));
        }
        (self.more)(&Given { section: &s, texts, lists, client }, c);
        s.finish(c);
    }
}

type Values = (BTreeMap<&'static str, String>, BTreeMap<&'static str, Vec<String>>);

/// Takes keys out of a section; what is empty is left out.
fn take(s: &mut Section<'_>, keys: &[(&'static str, Holds)], c: &mut Checker<'_>) -> Values {
    let (mut texts, mut lists) = Values::default();
    for (key, holds) in keys {
        match holds {
            Text => {
                if let Some(text) = s.text(key, c) {
                    texts.insert(*key, text);
                }
            }
            Number => drop(s.integer(key, c)),
            Flag => drop(s.flag(key, c)),
            Duration => drop(s.duration(key, c)),
            Map => drop(s.pairs(key, c)),
            Texts => {
                if let Some(list) = s.texts(key, c) {
                    lists.insert(*key, list);
                }
            }
            Filters => {
                for mut f in s.sections(key, c) {
                    f.text("name", c);
                    if f.texts("values", c).unwrap_or_default().is_empty() {
                        lists.entry("empty filters").or_default().push(f.field.clone());
                    }
                    f.finish(c);
                }
            }
        }
    }
    (texts, lists)
}

fn filter_values(g: &Given<'_>, c: &mut Checker<'_>) {
    if g.lists.contains_key("empty filters") {
        g.section.problem("filters", c, "each filter needs at least one value");
    }
}

fn azure(g: &Given<'_>, c: &mut Checker<'_>) {
    if g.texts.get("authentication_method").is_none_or(|m| m == "OAuth") {
        for key in ["tenant_id", "client_id", "client_secret"].iter().filter(|k| !g.has(k)) {
            g.wrong(c, &format!("needs a {key} for OAuth"));
        }
    }
}

fn consul(g: &Given<'_>, c: &mut Checker<'_>) {
    let Some(client) = &g.client else { return };
    if (g.has("username") || g.has("password")) && client.basic {
        g.wrong(c, "at most one of username and password, and basic_auth, may be given");
    }
    if g.has("token") && (client.authorization || client.oauth2) {
        g.wrong(c, "at most one of token, authorization and oauth2 may be given");
    }
}

fn marathon(g: &Given<'_>, c: &mut Checker<'_>) {
    let Some(client) = &g.client else { return };
    let (token, file) = (g.has("auth_token"), g.has("auth_token_file"));
    let others = client.basic || client.bearer || client.authorization;
    if (token && file) || ((token || file) && others) {
        g.wrong(c, "at most one of auth_token, auth_token_file, basic_auth, authorization and bearer_token may be given");
    }
}

fn zookeeper(g: &Given<'_>, c: &mut Checker<'_>) {
    if let Some(path) = g.lists.get("paths").and_then(|all| all.iter().find(|p| !p.starts_with('/'))) {
        g.section.problem("paths", c, format!("{path:?} must begin with a slash"));
    }
}

fn oci(g: &Given<'_>, c: &mut Checker<'_>) {
    let keys = ["tenancy", "user", "fingerprint", "key_file"];
    match g.texts.get("auth").map_or("api_key", String::as_str) {
        "api_key" => {
            for key in keys.iter().filter(|k| !g.has(k)) {
                g.wrong(c, &format!("needs a {key} for api_key"));
            }
            if g.has("key_passphrase") && g.has("key_passphrase_file") {
                g.wrong(c, "at most one of key_passphrase and key_passphrase_file may be given");
            }
        }
        "instance_principal" => {
            let more = ["key_passphrase", "key_passphrase_file"];
            if keys.iter().chain(&more).any(|k| g.has(k)) {
                g.wrong(c, "takes no keys of api_key with instance_principal");
            }
        }
        _ => {}
    }
    if g.lists.get("compartments").is_some_and(|all| all.iter().any(String::is_empty)) {
        g.section.problem("compartments", c, "may not hold an empty entry");
    }
}

fn one_secret_key(g: &Given<'_>, c: &mut Checker<'_>) {
    match (g.has("secret_key"), g.has("secret_key_file")) {
        (false, false) => g.wrong(c, "needs secret_key or secret_key_file"),
        (true, true) => g.wrong(c, "at most one of secret_key and secret_key_file may be given"),
        _ => {}
    }
}

fn url_with_host(g: &Given<'_>, key: &str, c: &mut Checker<'_>) {
    let Some(text) = g.texts.get(key) else { return };
    let has_host = text
        .split_once("://")
        .is_some_and(|(s, rest)| !s.is_empty() && !rest.is_empty() && !rest.starts_with(['/', '?', '#']));
    if !has_host || !parses(text) {
        g.section.problem(key, c, format!("{text:?} needs a scheme and a host"));
    }
}

/// Whether a text can be a URL, with or without a scheme.
pub(super) fn parses(text: &str) -> bool {
    match url::Url::parse(text) {
        Err(url::ParseError::RelativeUrlWithoutBase) => !text.starts_with(':'),
        other => other.is_ok(),
    }
}
