//! TLS settings of clients and servers (Go: `configtls`). Holds and checks them; makes no connections.

use serde::Deserialize;

use super::{GoDuration, Secret};
use crate::decode::Spanned;
use crate::diagnostic::Diagnostic;

/// Settings that both sides have.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Common {
    /// Certificate authorities to trust, a PEM file.
    pub ca_file: Spanned<String>,
    /// Certificate authorities to trust, PEM text.
    pub ca_pem: Secret,
    /// Trust the system's authorities beside the given ones.
    pub include_system_ca_certs_pool: bool,
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
    /// Cipher suites of TLS 1.2 by their Go names; all safe ones when empty.
    pub cipher_suites: Vec<Spanned<String>>,
    /// Allow suites that are known to be weak. Refused: the TLS library has none.
    pub include_insecure_cipher_suites: Spanned<bool>,
    /// Key exchange groups by name, in order of preference; the library's when empty.
    pub curve_preferences: Vec<Spanned<String>>,
    /// How often files are read again; never when zero.
    pub reload_interval: GoDuration,
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
    pub server_name_override: String,
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
    pub client_ca_file_reload: bool,
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

impl ClientTls {
    /// Every problem of these settings, with positions.
    pub fn check(&self) -> Vec<Diagnostic> {
        self.common.check()
    }
}

impl ServerTls {
    /// Every problem of these settings, with positions.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = self.common.check();
        let common = &self.common;
        if common.cert_file.is_empty() && common.cert_pem.is_empty() {
            found
                .push(common.cert_file.error("TLS of a server needs cert_file and key_file (or cert_pem and key_pem)"));
        }
        found
    }
}

impl Common {
    /// Oldest and newest version to speak, when they are well-formed.
    pub fn versions(&self) -> (Version, Version) {
        let min = version(&self.min_version, Version::V1_2).unwrap_or(Version::V1_2);
        let max = version(&self.max_version, Version::V1_3).unwrap_or(Version::V1_3);
        (min, max)
    }

    fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let pairs = [
            ("ca", &self.ca_file, &self.ca_pem),
            ("cert", &self.cert_file, &self.cert_pem),
            ("key", &self.key_file, &self.key_pem),
        ];
        for (name, file, pem) in pairs {
            if !file.is_empty() && !pem.is_empty() {
                found.push(
                    file.error(format!("{name}_file and {name}_pem exclude each other")).help("keep one of the two"),
                );
            }
        }
        let has_cert = !self.cert_file.is_empty() || !self.cert_pem.is_empty();
        let has_key = !self.key_file.is_empty() || !self.key_pem.is_empty();
        if has_cert && !has_key {
            found.push(self.cert_file.error("the certificate has no key").help("add key_file (or key_pem)"));
        }
        if has_key && !has_cert {
            found.push(self.key_file.error("the key has no certificate").help("add cert_file (or cert_pem)"));
        }
        for (text, default) in [(&self.min_version, Version::V1_2), (&self.max_version, Version::V1_3)] {
            found.extend(version(text, default).err());
        }
        let (min, max) = self.versions();
        if min > max {
            found.push(self.min_version.error("min_version is newer than max_version"));
        }
        if *self.include_insecure_cipher_suites {
            let problem = self.include_insecure_cipher_suites.error("insecure cipher suites are not available");
            found.push(problem.help("remove the key; every suite on offer is safe"));
        }
        if self.tpm.enabled {
            found.push(self.tpm.error("keys in a TPM are not supported").help("use key_file"));
        }
        found
    }
}

fn version(text: &Spanned<String>, default: Version) -> Result<Version, Diagnostic> {
    match text.as_str() {
        "" => Ok(default),
        "1.2" => Ok(Version::V1_2),
        "1.3" => Ok(Version::V1_3),
        "1.0" | "1.1" => Err(text
            .error(format!("TLS {} is not supported, it is broken", text.value))
            .help("write \"1.2\" or \"1.3\"")),
        other => Err(text.error(format!("unsupported TLS version: {other:?}")).help("write \"1.2\" or \"1.3\"")),
    }
}
