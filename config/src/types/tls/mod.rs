//! TLS settings of clients and servers (Go: `configtls`): the keys here, what is wrong with them in `check`. With the
//! feature `rustls` also what the library makes of them. Makes no connections.

mod check;
mod names;

#[cfg(feature = "rustls")]
mod client;
#[cfg(feature = "rustls")]
mod identity;
#[cfg(feature = "rustls")]
mod material;
#[cfg(feature = "rustls")]
mod server;
#[cfg(feature = "rustls")]
mod verify;

#[cfg(test)]
mod tests;

use serde::Deserialize;

use super::{GoDuration, Secret};
use crate::decode::Spanned;

/// Settings that both sides have.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Common {
    /// Certificate authorities to trust, a PEM file.
    pub ca_file: Spanned<String>,
    /// Certificate authorities to trust, PEM text.
    pub ca_pem: Secret,
    /// Trust the system's authorities beside the given ones.
    pub include_system_ca_certs_pool: Spanned<bool>,
    /// Own certificate chain, a PEM file.
    pub cert_file: Spanned<String>,
    /// Own certificate chain, PEM text.
    pub cert_pem: Secret,
    /// Own private key, a PEM file.
    pub key_file: Spanned<String>,
    /// Own private key, PEM text.
    pub key_pem: Secret,
    /// Oldest version to speak; `1.2` when empty.
    pub min_version: Spanned<String>,
    /// Newest version to speak; the newest known when empty.
    pub max_version: Spanned<String>,
    /// Cipher suites of TLS 1.2 by their Go names; all safe ones when empty. Those of TLS 1.3 are always all on offer.
    pub cipher_suites: Vec<Spanned<String>>,
    /// Allow suites that are known to be weak. Refused: the TLS library has none.
    pub include_insecure_cipher_suites: Spanned<bool>,
    /// Key exchange groups by name, in order of preference; the library's when empty.
    pub curve_preferences: Vec<Spanned<String>>,
    /// How old a certificate that was read from files may be when it is shown; any age when zero.
    pub reload_interval: Spanned<GoDuration>,
    /// Keys in a TPM. Refused unless `enabled` is false.
    pub tpm: Spanned<Tpm>,
}

/// Keys in a trusted platform module, which this agent does not use.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Tpm {
    pub enabled: bool,
    pub path: String,
    pub owner_auth: Secret,
    pub auth: Secret,
}

/// TLS of something that dials.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClientTls {
    /// No TLS at all.
    pub insecure: bool,
    /// Do not check the server's certificate.
    pub insecure_skip_verify: bool,
    /// The name to expect in the server's certificate and to send as SNI.
    pub server_name_override: Spanned<String>,
    /// Certificates, keys, versions.
    #[serde(rename = "<inline>")]
    pub common: Common,
}

/// TLS of something that listens. Absent means cleartext.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServerTls {
    /// Authorities of client certificates; with it every client must show one.
    pub client_ca_file: Spanned<String>,
    /// Read that file again when it changes.
    pub client_ca_file_reload: Spanned<bool>,
    /// Certificates, keys, versions.
    #[serde(rename = "<inline>")]
    pub common: Common,
}

/// A version that the TLS library speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2
    V1_2,
    /// TLS 1.3
    V1_3,
}
