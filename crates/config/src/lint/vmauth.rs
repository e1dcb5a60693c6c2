//! vmauth: keys it does not know (it reads its file strictly), users that can write and nobody who can read, and
//! tenants that no user leads to.

use super::{
    File,
    address::Address,
    finding::{Findings, Severity, Told},
    tree::{Tree, Visited, joined},
};
use crate::yaml::{At, Node};

const USER: [&str; 27] = [
    "name",
    "bearer_token",
    "jwt",
    "auth_token",
    "username",
    "password",
    "url_prefix",
    "url_map",
    "dump_request_on_errors",
    "headers",
    "response_headers",
    "keep_original_host",
    "load_balancing_policy",
    "discover_backend_ips",
    "max_concurrent_requests",
    "tls_ca_file",
    "tls_cert_file",
    "tls_key_file",
    "tls_server_name",
    "tls_insecure_skip_verify",
    "default_url",
    "retry_status_codes",
    "merge_query_args",
    "drop_src_path_prefix_parts",
    "metric_labels",
    "access_log",
    // Enterprise.
    "ip_filters",
];
const ROUTE: [&str; 13] = [
    "src_paths",
    "src_hosts",
    "src_query_args",
    "src_headers",
    "url_prefix",
    "discover_backend_ips",
    "headers",
    "response_headers",
    "keep_original_host",
    "retry_status_codes",
    "load_balancing_policy",
    "merge_query_args",
    "drop_src_path_prefix_parts",
];

/// Whether a map is vmauth's configuration; `users` alone is a key of many programs.
pub(super) fn is_config(node: &Node) -> bool {
    let leads = |n: &Node| n.get("url_prefix").is_some() || n.get("url_map").is_some();
    let users = node.get("users").map(Node::items).unwrap_or_default();
    users.iter().any(leads) || node.get("unauthorized_user").is_some_and(leads)
}

pub(super) fn check(tree: &Tree<'_>, found: &mut Findings) {
    for v in tree.all.iter().filter(|v| is_config(v.node)) {
        for (user, path) in users(v) {
            unknown(user, &path, &USER, found);
            for (i, route) in user.get("url_map").map(Node::items).unwrap_or_default().iter().enumerate() {
                unknown(route, &format!("{}[{i}]", joined(&path, "url_map")), &ROUTE, found);
            }
        }
        readers(v, found);
    }
}

fn users<'n>(v: &Visited<'n>) -> Vec<(&'n Node, String)> {
    let listed = v.node.get("users").map(Node::items).unwrap_or_default().iter().enumerate();
    let base = joined(&v.path, "users");
    let mut out: Vec<(&Node, String)> = listed.map(|(i, n)| (n, format!("{base}[{i}]"))).collect();
    out.extend(v.node.get("unauthorized_user").map(|n| (n, joined(&v.path, "unauthorized_user"))));
    out
}

/// Names of keys only: what stands under one that is not known may well be a secret.
fn unknown(node: &Node, path: &str, known: &[&str], found: &mut Findings) {
    for e in node.entries().iter().filter(|e| !known.contains(&e.key.as_str())) {
        let instead = match e.key.contains("hash") || e.key.contains("password") {
            true => {
                "password: the text itself, best as %{VARIABLE} from the environment; or bearer_token, or jwt. vmauth \
                 compares no hashes"
            }
            false => "one of the keys that vmauth's documentation lists; correct or remove it",
        };
        let told = Told {
            severity: Severity::Error,
            rule: "vmauth-unknown-key",
            message: format!("{:?} is no key of vmauth", e.key),
            effect: "vmauth reads its file strictly: it refuses to start, and on a reload goes on with the old file, so \
                     everybody stays outside or with the rights of before"
                .to_owned(),
            instead: instead.to_owned(),
        };
        found.add(e.at, &joined(path, &e.key), told);
    }
}

/// One address behind a user, and which paths lead to it.
struct Way<'n> {
    address: Address,
    paths: Vec<&'n str>,
}

fn ways(user: &Node) -> Vec<Way<'_>> {
    let mut out = Vec::new();
    for key in ["url_prefix", "default_url"] {
        out.extend(prefixes(user, key).into_iter().map(|address| Way { address, paths: Vec::new() }));
    }
    for route in user.get("url_map").map(Node::items).unwrap_or_default() {
        let paths = route.get("src_paths").map(Node::texts).unwrap_or_default();
        let to = prefixes(route, "url_prefix").into_iter();
        out.extend(to.map(|address| Way { address, paths: paths.clone() }));
    }
    out
}

/// Addresses under a key: one, several, or groups of them with settings.
fn prefixes(holder: &Node, key: &str) -> Vec<Address> {
    let Some(node) = holder.get(key) else { return Vec::new() };
    let grouped = node.items().iter().filter_map(|n| n.get("url_prefix")).flat_map(Node::texts);
    node.texts().into_iter().chain(grouped).filter_map(Address::of).collect()
}

impl Way<'_> {
    fn reads(&self) -> bool {
        let writes = |p: &str| {
            ["/insert", "/write", "/import", "/opentelemetry", "/push"].iter().any(|w| p.contains(w))
        };
        match self.paths.is_empty() {
            true => !writes(&self.address.path),
            false => self.paths.iter().any(|p| !writes(p)) && !self.address.path.contains("/insert"),
        }
    }

    /// The tenant in `/insert/<accountID[:projectID]>/…` or `/select/…`; project 0 goes without saying.
    fn tenant(&self, of: &str) -> Option<&str> {
        let mut parts = self.address.path.split('/').skip(1);
        let tenant = (parts.next() == Some(of)).then(|| parts.next()).flatten().filter(|t| !t.is_empty())?;
        Some(tenant.strip_suffix(":0").unwrap_or(tenant))
    }
}

fn readers(v: &Visited<'_>, found: &mut Findings) {
    let users = users(v);
    let ways: Vec<Way<'_>> = users.iter().flat_map(|(u, _)| ways(u)).collect();
    if ways.is_empty() {
        return;
    }
    if !ways.iter().any(Way::reads) {
        let at = v.node.entries().iter().find(|e| e.key == "users").map_or(v.node.at, |e| e.at);
        return found.add(at, &joined(&v.path, "users"), nobody_reads());
    }
    let read: Vec<&str> = ways.iter().filter_map(|w| w.tenant("select")).collect();
    // Whoever may read under any path may read every tenant.
    let reads_all = ways.iter().any(|w| w.reads() && w.tenant("select").is_none());
    if reads_all || read.contains(&"multitenant") {
        return;
    }
    for (user, path) in &users {
        for way in self::ways(user) {
            let Some(tenant) = way.tenant("insert").filter(|t| *t != "multitenant" && !read.contains(t))
            else {
                continue;
            };
            found.add(user.at, path, unread(tenant));
        }
    }
}

fn nobody_reads() -> Told {
    Told {
        severity: Severity::Warning,
        rule: "vmauth-nobody-reads",
        message: "every user leads to writes only (/insert/ and the like)".to_owned(),
        effect: "through this vmauth nobody can query: Grafana and vmalert get an error for every request"
            .to_owned(),
        instead:
            "a user, or a url_map entry, with url_prefix: http://vmselect:8481/select/<tenant>/prometheus"
                .to_owned(),
    }
}

fn unread(tenant: &str) -> Told {
    Told {
        severity: Severity::Warning,
        rule: "vmauth-nobody-reads",
        message: format!("tenant {tenant} is written, and no user can read it"),
        effect: "its series are stored and paid for, and no query through this vmauth finds them".to_owned(),
        instead: format!("a user with url_prefix: http://vmselect:8481/select/{tenant}/prometheus"),
    }
}

/// A tenant as a list of them has it.
struct Tenant {
    names: Vec<String>,
    at: At,
    path: String,
}

/// Tenants that a list names and no user leads to. Lists of which no user knows any are about something else.
pub(super) fn check_tenants(files: &[File<'_>], found: &mut [Findings]) {
    let trees = || files.iter().flat_map(|f| f.trees.iter());
    let configs: Vec<&Visited<'_>> =
        trees().flat_map(|t| t.all.iter()).filter(|v| is_config(v.node)).collect();
    if configs.is_empty() {
        return;
    }
    let served: Vec<String> = configs.iter().flat_map(|v| users(v)).flat_map(|(u, _)| known_as(u)).collect();
    for (file, found) in files.iter().zip(found) {
        for list in file.trees.iter().flat_map(|t| t.under(&["tenants"])) {
            let tenants = tenants(list);
            let missing: Vec<&Tenant> = tenants.iter().filter(|t| !t.is_in(&served)).collect();
            if missing.len() == tenants.len() {
                continue;
            }
            for t in missing {
                found.add(t.at, &t.path, unreachable(t));
            }
        }
    }
}

/// What of a user can name a tenant: its names, and the tenants in its addresses.
fn known_as(user: &Node) -> Vec<String> {
    let named = ["username", "name"].iter().filter_map(|k| user.text_of(&[*k])).map(str::to_lowercase);
    let labels = user.get("metric_labels").map(Node::entries).unwrap_or_default();
    let labels = labels.iter().filter_map(|e| e.node.text()).map(str::to_lowercase);
    let mut out: Vec<String> = named.chain(labels).collect();
    for way in ways(user) {
        out.extend(["insert", "select"].iter().filter_map(|of| way.tenant(of)).map(str::to_owned));
    }
    out
}

/// A list of maps or of names, or a map of names to numbers or maps.
fn tenants(list: &Visited<'_>) -> Vec<Tenant> {
    let listed = list.node.items().iter().enumerate().map(|(i, n)| tenant(n, format!("{}[{i}]", list.path)));
    let mapped = list.node.entries().iter().map(|e| {
        let mut t = tenant(&e.node, joined(&list.path, &e.key));
        t.names.insert(0, e.key.to_lowercase());
        Tenant { at: e.at, ..t }
    });
    listed.chain(mapped).collect()
}

fn tenant(node: &Node, path: String) -> Tenant {
    let keys = ["name", "tenant", "id", "accountID", "account_id", "accountId", "tenant_id", "tenantID"];
    let names = match node.text() {
        Some(text) => vec![text.to_lowercase()],
        None => keys.iter().filter_map(|k| node.text_of(&[*k])).map(str::to_lowercase).collect(),
    };
    Tenant { names, at: node.at, path }
}

impl Tenant {
    fn is_in(&self, served: &[String]) -> bool {
        let is_number = |t: &str| t.chars().all(|c| c.is_ascii_digit());
        self.names.iter().any(|name| {
            served.iter().any(|s| match is_number(name) {
                true => s.split(':').next() == Some(name.as_str()),
                // `security-writer` is a user of `security`.
                false => s.split(['-', '_', '.', '@', ' ']).any(|part| part == name) || s == name,
            })
        })
    }
}

fn unreachable(t: &Tenant) -> Told {
    let name = t.names.first().map_or("", String::as_str);
    Told {
        severity: Severity::Error,
        rule: "vmauth-tenant-without-user",
        message: format!("no user of vmauth leads to the tenant {name:?}"),
        effect: "nothing can be written to it or read from it: its senders get 401 and what they cannot hold is lost"
            .to_owned(),
        instead: "a user for it with url_prefix …/insert/<id>/prometheus, and one with …/select/<id>/prometheus".to_owned(),
    }
}
