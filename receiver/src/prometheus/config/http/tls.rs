//! `tls_config`: authorities, certificates, versions. What they mean to the TLS library is in the crate `config`.

use config::{Diagnostic, Node, Secret, Spanned};
use serde::Deserialize;

use super::text::{Text, check_file, refuse_ref, text};

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TlsSettings {
    /// Authorities to trust instead of the system's.
    pub(crate) ca: Option<Text>,
    /// Own certificate chain and key.
    pub(crate) identity: Option<(Text, Text)>,
    /// Name to verify instead of the host of the URL.
    pub(crate) server_name: String,
    /// Verify nothing.
    pub(crate) insecure_skip_verify: bool,
    /// Oldest version, `TLS12` by default.
    pub(crate) min_version: Option<TlsVersion>,
    /// Newest version.
    pub(crate) max_version: Option<TlsVersion>,
}

/// A TLS version that the library speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersion {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TlsKeys {
    ca: Option<Secret>,
    ca_file: Option<Spanned<String>>,
    ca_ref: Option<Node>,
    cert: Option<Spanned<Secret>>,
    cert_file: Option<Spanned<String>>,
    cert_ref: Option<Node>,
    key: Option<Spanned<Secret>>,
    key_file: Option<Spanned<String>>,
    key_ref: Option<Node>,
    server_name: String,
    insecure_skip_verify: bool,
    min_version: Option<Spanned<String>>,
    max_version: Option<Spanned<String>>,
}

impl TlsKeys {
    pub(super) fn settings(self, found: &mut Vec<Diagnostic>) -> TlsSettings {
        for node in [&self.ca_ref, &self.cert_ref, &self.key_ref] {
            refuse_ref(node.as_ref(), found);
        }
        if let (Some(_), Some(file)) = (&self.ca, &self.ca_file) {
            found.push(file.error("at most one of ca and ca_file must be configured"));
        }
        if let (Some(_), Some(file)) = (&self.cert, &self.cert_file) {
            found.push(file.error("at most one of cert and cert_file must be configured"));
        }
        if let (Some(_), Some(file)) = (&self.key, &self.key_file) {
            found.push(file.error("at most one of key and key_file must be configured"));
        }
        for file in [&self.cert_file, &self.key_file].into_iter().flatten() {
            check_file(file, "client cert", found);
        }
        let place = |inline: &Option<Spanned<Secret>>, file: &Option<Spanned<String>>, message: &str| {
            inline.as_ref().map(|s| s.error(message)).or_else(|| file.as_ref().map(|s| s.error(message)))
        };
        let cert_place = place(
            &self.cert,
            &self.cert_file,
            "exactly one of key or key_file must be configured when a client certificate is configured",
        );
        let key_place = place(
            &self.key,
            &self.key_file,
            "exactly one of cert or cert_file must be configured when a client key is configured",
        );
        let cert = text(self.cert.map(|s| s.value), self.cert_file);
        let key = text(self.key.map(|s| s.value), self.key_file);
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (Some(_), None) => {
                found.extend(cert_place);
                None
            }
            (None, Some(_)) => {
                found.extend(key_place);
                None
            }
            (None, None) => None,
        };
        let min_version = version(self.min_version, false, found);
        let max_version = version(self.max_version, true, found);
        TlsSettings {
            ca: text(self.ca, self.ca_file),
            identity,
            server_name: self.server_name,
            insecure_skip_verify: self.insecure_skip_verify,
            min_version,
            max_version,
        }
    }
}

/// `TLS10` and `TLS11` as the oldest version mean 1.2, which is the oldest that the library has.
fn version(text: Option<Spanned<String>>, is_max: bool, found: &mut Vec<Diagnostic>) -> Option<TlsVersion> {
    let text = text?;
    match (text.as_str(), is_max) {
        ("TLS13", _) => Some(TlsVersion::Tls13),
        ("TLS12", _) => Some(TlsVersion::Tls12),
        ("TLS10" | "TLS11", false) => {
            found.push(text.warning(format!("{} is not spoken, the oldest version is TLS12", text.value)));
            Some(TlsVersion::Tls12)
        }
        ("TLS10" | "TLS11", true) => {
            found.push(text.error(format!("{} is not supported, the oldest version is TLS12", text.value)));
            None
        }
        _ => {
            found.push(text.error(format!("unknown TLS version: {}", text.value)).help("write TLS12 or TLS13"));
            None
        }
    }
}
