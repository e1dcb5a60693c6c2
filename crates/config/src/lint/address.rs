//! Addresses in texts, and how they are told: without user, query and fragment, which may be secrets.

use url::Url;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: String,
    pub(super) host: String,
    /// As given or as the scheme has it.
    pub(super) port: Option<u16>,
    pub(super) path: String,
    /// As it stands in the text, to find its place.
    pub(super) written: String,
}

impl Address {
    /// Takes `host:port` too.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let url = match text.contains("://") {
            true => Url::parse(text).ok()?,
            false => Url::parse(&format!("http://{text}")).ok()?,
        };
        Some(Address {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_ascii_lowercase(),
            port: url.port_or_known_default(),
            path: url.path().to_owned(),
            written: text.to_owned(),
        })
    }

    /// All addresses with a scheme in a text.
    pub(super) fn all_in(text: &str) -> Vec<Self> {
        let breaks = |c: char| c.is_whitespace() || ",;\"'`<>()[]{}|".contains(c);
        text.split(breaks)
            .filter_map(|word| {
                let from = ["http://", "https://"].iter().filter_map(|s| word.find(s)).min()?;
                Address::of(word.get(from..)?)
            })
            .collect()
    }

    pub(super) fn is_at(&self, port: u16) -> bool {
        self.port == Some(port)
    }

    pub(super) fn goes_to(&self, program: &str) -> bool {
        self.host.contains(program)
    }

    /// Whether the name means something in the cluster of whoever asks only.
    pub(super) fn is_of_the_cluster(&self) -> bool {
        let h = self.host.trim_end_matches('.');
        !h.contains('.')
            || h.ends_with(".svc")
            || h.contains(".svc.")
            || h.ends_with(".cluster.local")
            || h == "127.0.0.1"
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{}{}", self.authority(), self.path.trim_end_matches('/'))
    }

    pub(super) fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}://{}:{port}", self.scheme, self.host),
            None => format!("{}://{}", self.scheme, self.host),
        }
    }
}
