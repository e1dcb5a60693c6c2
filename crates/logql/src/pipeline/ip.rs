//! `ip("...")`: addresses in a line or a label.

use std::net::IpAddr;

/// Which addresses are meant, as inclusive bounds of one family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct IpTest {
    first: IpAddr,
    last: IpAddr,
}

impl IpTest {
    /// One address, a range `192.168.0.1-192.168.0.9`, or a prefix `192.168.0.0/16`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fail = || format!("invalid ip pattern {text:?}: use an address, a range a-b or a prefix a/n");
        let address = |s: &str| s.trim().parse::<IpAddr>().map_err(|_| fail());
        let (first, last) = if let Some((a, b)) = text.split_once('-') {
            (address(a)?, address(b)?)
        } else if let Some((a, bits)) = text.split_once('/') {
            prefix(address(a)?, bits.trim().parse().map_err(|_| fail())?).ok_or_else(fail)?
        } else {
            (address(text)?, address(text)?)
        };
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(fail());
        }
        Ok(IpTest { first, last })
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.first.is_ipv4() && self.first <= ip && ip <= self.last
    }

    /// Whether the text is such an address.
    pub fn matches(&self, text: &str) -> bool {
        text.trim().parse().is_ok_and(|ip| self.contains(ip))
    }

    /// Whether such an address stands anywhere in the line.
    pub fn found_in(&self, line: &str) -> bool {
        let part = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        line.split(|c| !part(c)).any(|word| {
            let word = word.trim_matches('.');
            if self.matches(word) || self.matches(word.trim_end_matches(':')) {
                return true;
            }
            // `10.0.0.1:8080`, `at:10.0.0.1`: pieces around colons.
            word.contains('.') && word.split(':').any(|piece| self.matches(piece.trim_matches('.')))
        })
    }
}

fn prefix(address: IpAddr, bits: u32) -> Option<(IpAddr, IpAddr)> {
    match address {
        IpAddr::V4(a) => {
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            let a = u32::from(a);
            (bits <= 32).then(|| (IpAddr::V4((a & !host).into()), IpAddr::V4((a | host).into())))
        }
        IpAddr::V6(a) => {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            let a = u128::from(a);
            (bits <= 128).then(|| (IpAddr::V6((a & !host).into()), IpAddr::V6((a | host).into())))
        }
    }
}
