//! Hosts as people write them and as URLs need them: an IPv6 address stands in brackets before a port.

use std::net::{AddrParseError, IpAddr, Ipv6Addr};

use serde::{Deserialize, Deserializer};

/// An IP address to bind to: `0.0.0.0`, `::`, or `[::]` as in URLs.
///
/// # Errors
/// The text is not an IP address.
pub fn parse_host(text: &str) -> Result<IpAddr, AddrParseError> {
    match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse(),
    }
}

/// [`parse_host`] for a setting: `#[serde(deserialize_with = "deserialize_host")]`.
///
/// # Errors
/// The setting is not an IP address.
pub fn deserialize_host<'de, D: Deserializer<'de>>(setting: D) -> Result<IpAddr, D::Error> {
    let text = String::deserialize(setting)?;
    parse_host(&text).map_err(serde::de::Error::custom)
}

/// A host as it stands before a port, `host:port`: IPv6 addresses in brackets, all else as it is.
pub fn url_host(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_brackets() {
        let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        assert_eq!(parse_host("::"), Ok(any));
        assert_eq!(parse_host("[::]"), Ok(any));
        assert_eq!(parse_host("[::1]"), Ok(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!(parse_host("10.1.2.3"), Ok(IpAddr::from([10, 1, 2, 3])));
        for wrong in ["localhost", "[::", "[10.1.2.3]", "::1:50050x", ""] {
            assert!(parse_host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_ipv6_addresses_get_brackets() {
        for (host, expected) in [
            ("::1", "[::1]"),
            ("[::1]", "[::1]"),
            ("10.1.2.3", "10.1.2.3"),
            ("scheduler.svc", "scheduler.svc"),
        ] {
            assert_eq!(url_host(host), expected);
        }
    }
}
