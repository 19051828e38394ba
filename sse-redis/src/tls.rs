//! Connections to Redis over TLS.

use redis::{Client, ConnectionInfo, RedisResult, TlsCertificates};

/// Creates a client for a URL that begins with `rediss://`.
pub(crate) fn client(info: ConnectionInfo, root_certificates: Option<&[u8]>) -> RedisResult<Client> {
    // rustls would panic without a provider of cryptography. One that the application has installed stays.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    match root_certificates {
        None => Client::open(info),
        Some(pem) => {
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) })
        }
    }
}
