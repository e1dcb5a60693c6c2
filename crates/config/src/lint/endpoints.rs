//! Addresses of a VictoriaMetrics cluster: what is written goes to vminsert, what is read comes from vmselect.

use super::{
    address::Address,
    finding::{Findings, Severity, Told},
    source::Source,
    tree::Tree,
};

const VMINSERT: u16 = 8480;
const VMSELECT: u16 = 8481;

pub(super) fn check(tree: &Tree<'_>, source: &Source, found: &mut Findings) {
    for v in &tree.all {
        let Some(text) = v.node.text().filter(|t| t.contains("://") && !holds_a_document(t)) else {
            continue;
        };
        for a in Address::all_in(text) {
            if let Some(told) = crossed(&a) {
                found.add(source.place(v.node, &a.written), &v.path, told);
            }
        }
    }
}

/// Files in values are documents of their own, and looked at as such.
fn holds_a_document(text: &str) -> bool {
    text.contains('\n')
}

fn crossed(a: &Address) -> Option<Told> {
    let is_read = a.path == "/select" || a.path.starts_with("/select/");
    let is_write = a.path == "/insert" || a.path.starts_with("/insert/");
    let at_insert =
        a.goes_to("vminsert") || (a.is_at(VMINSERT) && !a.goes_to("vmselect") && !a.goes_to("vmauth"));
    let at_select =
        a.goes_to("vmselect") || (a.is_at(VMSELECT) && !a.goes_to("vminsert") && !a.goes_to("vmauth"));
    let wrong_port = (is_read && a.goes_to("vmselect") && a.is_at(VMINSERT))
        || (is_write && a.goes_to("vminsert") && a.is_at(VMSELECT));
    let (what, asked, right, port) = match () {
        () if is_read && (at_insert || wrong_port) => ("a read", "vminsert", "vmselect", VMSELECT),
        () if is_write && (at_select || wrong_port) => ("a write", "vmselect", "vminsert", VMINSERT),
        () => return None,
    };
    let host = a.host.replace(asked, right);
    let effect = match right {
        "vmselect" => "vminsert has no such path and answers 400: every query and panel of it is an error",
        _ => "vmselect takes no samples: every write is refused, and what the sender cannot hold is lost",
    };
    Some(Told {
        severity: Severity::Error,
        rule: "vmcluster-address",
        message: format!("{what} goes to {asked} ({})", a.shown()),
        effect: effect.to_owned(),
        instead: format!("{}://{host}:{port}{}", a.scheme, a.path),
    })
}
