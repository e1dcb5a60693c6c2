//! An address that is written to or asked, with what goes along with every request.

use net::{Auth, Request, Secret};

use crate::{Error, Result};

/// `http://[user:password@]host:port[/path]`, a tenant, further headers.
#[derive(Debug, Clone)]
pub struct Target {
    url: url::Url,
    auth: Option<Auth>,
    headers: Vec<(&'static str, String)>,
}

impl Target {
    /// `host:port` alone is taken as http. Names of headers are lower case.
    pub fn new(address: &str, tenant: Option<&str>, headers: &[(String, String)]) -> Result<Self> {
        let bad = |reason: &str| Error::Target { url: address.to_owned(), reason: reason.to_owned() };
        let whole = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut url = url::Url::parse(&whole).map_err(|e| bad(&e.to_string()))?;
        if url.host().is_none() || !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it needs a host, and http or https"));
        }
        let auth = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some(Auth::Basic {
                username: Secret::Inline(user.to_owned()),
                password: Secret::Inline(password.unwrap_or_default().to_owned()),
            }),
        };
        // Both only fail where there is no host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let mut all: Vec<(&'static str, String)> =
            tenant.map(|t| ("x-scope-orgid", t.to_owned())).into_iter().collect();
        for (name, value) in headers {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
            if name.is_empty() || !name.bytes().all(plain) {
                let wanted = "a name is lower case letters, digits, '-', '_' and '.'";
                return Err(Error::Option { option: "header", value: name.clone(), wanted });
            }
            // A handful of names from one command line, kept as long as the process anyway.
            all.push((name.clone().leak(), value.clone()));
        }
        Ok(Target { url, auth, headers: all })
    }

    /// The address without credentials, for messages and for recognising it.
    pub fn shown(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The URL with `path` below its own.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.shown())
    }

    /// The URL as it is where it has a path, else with `path`.
    pub fn or_at(&self, path: &str) -> String {
        if matches!(self.url.path(), "" | "/") { self.at(path) } else { self.shown().to_owned() }
    }

    pub fn add(&self, request: Request) -> Request {
        let request = Request { auth: self.auth.clone(), ..request };
        self.headers.iter().fold(request, |r, (name, value)| r.header(name, value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_credentials_to_itself() {
        let t = Target::new("http://me:hunter2@h:1/prom/", None, &[]).unwrap();
        assert_eq!(t.shown(), "http://h:1/prom");
        assert_eq!(t.at("/api/v1/query"), "http://h:1/prom/api/v1/query");
        assert!(matches!(t.add(Request::get("x")).auth, Some(Auth::Basic { .. })));
        assert!(!format!("{t:?}").contains("hunter2"));
    }

    #[test]
    fn an_address_without_a_path_gets_the_usual_one() {
        let at = |a: &str| Target::new(a, None, &[]).unwrap().or_at("/api/v1/write");
        assert_eq!(at("h:1"), "http://h:1/api/v1/write");
        assert_eq!(
            at("https://h/insert/0/prometheus/api/v1/write"),
            "https://h/insert/0/prometheus/api/v1/write"
        );
        assert!(Target::new("ftp://h", None, &[]).is_err());
        assert!(Target::new("h", None, &[("Bad Name".to_owned(), String::new())]).is_err());
    }
}
