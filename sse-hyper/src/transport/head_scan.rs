//! The search for the end of a request head.

/// Finds the first empty line in the bytes from a peer, as far as they have arrived. The preface of HTTP/2 contains one, too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    /// Whether the current line has a byte other than CR.
    has_content: bool,
    /// Whether a line with content was seen. Servers ignore empty lines before a request (RFC 9112, section 2.2).
    has_line: bool,
}

impl HeadScan {
    /// Scans further bytes, and returns whether they end the head.
    pub(super) fn ends_in(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' if !self.has_content && self.has_line => return true,
                b'\n' => self.has_content = false,
                b'\r' => {}
                _ => {
                    self.has_content = true;
                    self.has_line = true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_first_empty_line_however_it_is_cut() {
        let cases: [(&[u8], bool); 7] = [
            (b"GET / HTTP/1.1\r\n\r\n", true),
            (b"GET / HTTP/1.1\nHost: a\n\n", true),
            (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", false),
            (b"GET / HT", false),
            (b"\r\n\r\n\r\n", false),
        ];
        for (bytes, ends) in cases {
            for cut in 0..bytes.len() {
                let mut scan = HeadScan::default();
                assert_eq!(scan.ends_in(&bytes[..cut]) || scan.ends_in(&bytes[cut..]), ends, "{bytes:?}");
            }
        }
    }
}
