//! The form in which browsers send an origin.

use std::error::Error;
use std::fmt;

use http::HeaderValue;

/// The reason why [`AllowedOrigins::new`](crate::AllowedOrigins::new) rejected an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginError {
    /// The origin does not begin with a scheme in lower case and `://`. `*` and `null` are not origins: `*` matches every
    /// origin, and `null` stands for any page that hides its origin.
    Scheme {
        /// The rejected text.
        origin: String,
    },
    /// The host is empty or contains something that browsers do not send there: upper case, letters beyond ASCII (browsers
    /// send `xn--…`), a user, or a path, including a single `/`.
    Host {
        /// The rejected text.
        origin: String,
    },
    /// The port is not a number from 1 to 65,535, or is the default port of the scheme, which browsers omit.
    Port {
        /// The rejected text.
        origin: String,
    },
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, problem) = match self {
            OriginError::Scheme { origin } => (origin, "does not begin with a scheme and ://"),
            OriginError::Host { origin } => (origin, "is not a scheme and a bare host in lower case ASCII"),
            OriginError::Port { origin } => (origin, "has a port that a browser does not send"),
        };
        write!(f, "{origin:?} {problem}, as in https://app.example or http://localhost:5173")
    }
}

impl Error for OriginError {}

/// Parses an origin in the form that browsers send (RFC 6454, section 6.2).
pub(super) fn parse(origin: &str) -> Result<HeaderValue, OriginError> {
    let given = || origin.to_owned();
    let (scheme, authority) =
        origin.split_once("://").ok_or_else(|| OriginError::Scheme { origin: given() })?;
    if !is_scheme(scheme) {
        return Err(OriginError::Scheme { origin: given() });
    }
    let (host, port) = split_port(authority);
    if !is_host(host) {
        return Err(OriginError::Host { origin: given() });
    }
    if port.is_some_and(|port| !is_port(scheme, port)) {
        return Err(OriginError::Port { origin: given() });
    }
    HeaderValue::from_str(origin).map_err(|_| OriginError::Host { origin: given() })
}

/// Splits off the port. The colons of an IPv6 address are inside brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    !host.is_empty()
        && host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
}

fn is_port(scheme: &str, port: &str) -> bool {
    let Ok(number) = port.parse::<u16>() else { return false };
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    number > 0 && Some(number) != default && number.to_string() == port
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AllowedOrigins;

    #[test]
    fn origins_as_browsers_send_them_are_accepted() {
        for origin in [
            "https://app.example",
            "http://localhost:8080",
            "https://127.0.0.1:8443",
            "http://[::1]",
            "http://[::1]:3000",
            "http://[2001:db8::7]:3000",
            "https://xn--grn-ioa.example",
            "http://under_score.example",
            "http://app.example:443",
            "capacitor://localhost",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        ] {
            assert!(AllowedOrigins::new([origin]).is_ok(), "{origin}");
        }
    }

    #[test]
    fn other_origins_are_rejected_with_the_reason() {
        let scheme = |origin: String| OriginError::Scheme { origin };
        let host = |origin: String| OriginError::Host { origin };
        let port = |origin: String| OriginError::Port { origin };
        type Wrong = fn(String) -> OriginError;
        let cases: [(&str, Wrong); 26] = [
            ("", scheme),
            ("*", scheme),
            ("null", scheme),
            ("app.example", scheme),
            ("//app.example", scheme),
            ("://app.example", scheme),
            ("HTTPS://app.example", scheme),
            (" https://app.example", scheme),
            ("https:/app.example", scheme),
            ("https://", host),
            ("https://:8443", host),
            ("https://App.example", host),
            ("https://app.example/", host),
            ("https://app.example/sse", host),
            ("https://user@app.example", host),
            ("https://*.app.example", host),
            ("https://grün.example", host),
            ("https://app.example ", host),
            ("https://app.example\r\n", host),
            ("https://[::1", host),
            ("https://[0:0:0:0:0:0:0:1]", host),
            ("https://app.example:", port),
            ("https://app.example:443", port),
            ("https://app.example:0443", port),
            ("https://app.example:65536", port),
            ("https://app.example:8443/", port),
        ];
        for (origin, wrong) in cases {
            let error = AllowedOrigins::new(["https://app.example", origin]).unwrap_err();
            assert_eq!(error, wrong(origin.to_owned()));
            assert!(error.to_string().starts_with(&format!("{origin:?} ")), "{error}");
        }
    }
}
