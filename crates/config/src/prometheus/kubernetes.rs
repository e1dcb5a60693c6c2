//! `kubernetes_sd_configs`: checked whole, named as not supported yet.

use net::Settings;

use super::{
    cloud::{NOT_RUN, parses},
    http::http,
    section::Section,
};
use crate::check::Checker;

const ROLES: [&str; 6] = ["pod", "service", "endpoints", "endpointslice", "node", "ingress"];

pub(super) fn check(s: &mut Section<'_>, c: &mut Checker<'_>) {
    for section in s.sections("kubernetes_sd_configs", c) {
        c.notice(&section.field.clone(), section.at, NOT_RUN);
        one(section, c);
    }
}

fn one(mut s: Section<'_>, c: &mut Checker<'_>) {
    let api_server = s.text("api_server", c);
    if api_server.as_ref().is_some_and(|u| !parses(u)) {
        s.problem("api_server", c, "is not a URL");
    }
    let role = s.text("role", c).unwrap_or_default();
    if !ROLES.contains(&role.as_str()) {
        s.problem("role", c, format!("role {role:?} is not known, use {}", ROLES.join(", ")));
    }
    let kubeconfig = s.text("kubeconfig_file", c).is_some();
    let custom_client = http(&mut s, c).settings != Settings::default();
    let own_namespace = namespaces(&mut s, c);
    let api_server = api_server.is_some();
    for (wrong, message) in [
        (api_server && kubeconfig, "takes only one of kubeconfig_file and api_server"),
        (kubeconfig && custom_client, "takes no HTTP client keys together with kubeconfig_file"),
        (!api_server && !kubeconfig && custom_client, "needs api_server to use HTTP client keys"),
        (api_server && own_namespace, "takes only one of api_server and namespaces.own_namespace"),
        (kubeconfig && own_namespace, "takes only one of kubeconfig_file and namespaces.own_namespace"),
    ] {
        if wrong {
            s.wrong(c, message);
        }
    }
    selectors(&mut s, &role, c);
    if let Some(mut a) = s.section("attach_metadata", c) {
        for key in ["node", "namespace", "deployment", "job", "cronjob"] {
            a.flag(key, c);
        }
        a.finish(c);
    }
    s.finish(c);
}

fn namespaces(s: &mut Section<'_>, c: &mut Checker<'_>) -> bool {
    let Some(mut n) = s.section("namespaces", c) else { return false };
    let own = n.flag("own_namespace", c).unwrap_or(false);
    n.texts("names", c);
    n.finish(c);
    own
}

fn selectors(s: &mut Section<'_>, role: &str, c: &mut Checker<'_>) {
    let allowed: &[&str] = match role {
        "pod" => &["pod", "node"],
        "service" => &["service"],
        "endpoints" => &["pod", "service", "endpoints"],
        "endpointslice" => &["pod", "service", "endpointslice"],
        "node" => &["node"],
        "ingress" => &["ingress"],
        _ => &[],
    };
    let mut seen: Vec<String> = Vec::new();
    for mut selector in s.sections("selectors", c) {
        let of = selector.text("role", c).unwrap_or_default();
        if seen.contains(&of) {
            selector.wrong(c, format!("role {of:?} has a selector already"));
        } else if !allowed.contains(&of.as_str()) {
            let allowed = allowed.join(", ");
            selector.problem("role", c, format!("role {role} supports only selectors for {allowed}"));
        }
        seen.push(of);
        selector.text("label", c);
        let field = selector.text("field", c).unwrap_or_default();
        if let Some(term) = field.split(',').find(|t| !t.is_empty() && !t.contains('=')) {
            selector.problem(
                "field",
                c,
                format!("{term:?} is not a selector, write name=value or name!=value"),
            );
        }
        selector.finish(c);
    }
}
