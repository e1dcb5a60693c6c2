//! Whose data a request reads or writes: the header `X-Scope-OrgID`, as Loki, Mimir and Tempo use it.
//!
//! Absent or empty means `default`. Reads may name several tenants, divided by `|`; writes exactly one.

use contract::Tenants;
use http::HeaderMap;
use model::TenantId;

use crate::Error;

pub const HEADER: &str = "X-Scope-OrgID";

/// More than this many tenants in one read is a mistake or an attack.
const MAX_TENANTS: usize = 64;

/// The tenants a read asks for.
pub fn for_read(headers: &HeaderMap) -> Result<Tenants, Error> {
    let text = header_text(headers)?;
    let names: Vec<&str> = text.split('|').map(str::trim).filter(|s| !s.is_empty()).collect();
    if names.len() > MAX_TENANTS {
        return Err(Error::invalid(format!(
            "header {HEADER} names {} tenants, at most {MAX_TENANTS} are allowed",
            names.len()
        )));
    }
    if names.is_empty() {
        return Ok(Tenants::one(TenantId::default()));
    }
    let tenants = names.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok(Tenants::several(tenants).unwrap_or_else(|| Tenants::one(TenantId::default())))
}

/// The one tenant a write belongs to.
pub fn for_write(headers: &HeaderMap) -> Result<TenantId, Error> {
    let text = header_text(headers)?;
    match text.trim() {
        "" => Ok(TenantId::default()),
        t if t.contains('|') => Err(Error::invalid(format!(
            "header {HEADER} {:?} names several tenants, a write needs exactly one",
            short(t)
        ))),
        t => parse(t),
    }
}

fn header_text(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(first) = values.next() else { return Ok("") };
    if values.next().is_some() {
        return Err(Error::invalid(format!("header {HEADER} is given more than once")));
    }
    first
        .to_str()
        .map_err(|_| Error::invalid(format!("header {HEADER} holds bytes that are not visible ASCII")))
}

fn parse(name: &str) -> Result<TenantId, Error> {
    TenantId::new(name).map_err(|e| Error::invalid(format!("header {HEADER}: {e}")))
}

fn short(s: &str) -> String {
    s.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &'static str) -> HeaderMap {
        let mut h = HeaderMap::new();
        h.insert(HEADER, http::HeaderValue::from_static(value));
        h
    }

    #[test]
    fn a_read_may_name_several_tenants_and_a_write_exactly_one() {
        assert!(for_read(&HeaderMap::new()).unwrap().is_single());
        let two = for_read(&headers("b| a |b")).unwrap();
        assert_eq!(two.iter().map(|t| t.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(for_write(&headers("a")).unwrap().as_str(), "a");
        assert!(for_write(&headers("a|b")).unwrap_err().to_string().contains("X-Scope-OrgID"));
    }

    #[test]
    fn a_tenant_that_is_no_valid_name_is_refused_naming_the_header() {
        let err = for_write(&headers("../etc")).unwrap_err();
        assert_eq!(err.kind(), base::Kind::Invalid);
        assert!(err.to_string().contains("X-Scope-OrgID"), "{err}");
        assert!(for_read(&headers("a|../b")).is_err());
    }
}
