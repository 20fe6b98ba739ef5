//! TLS settings of Prometheus clients applied to an HTTP client. What they mean to the TLS library is in the crate
//! `config`. Reads the files, makes no connections.

use std::time::SystemTime;

use config::tls::{ClientTls, Common};
use config::{Secret, Spanned};
use reqwest::ClientBuilder;

use super::config::{Text, TlsSettings, TlsVersion};

impl TlsSettings {
    /// Whether something is read from files.
    pub(crate) fn has_files(&self) -> bool {
        self.texts().any(|text| matches!(text, Text::File(_)))
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        self.ca.iter().chain(self.identity.iter().flat_map(|(cert, key)| [cert, key]))
    }
}

/// When each of the files was last changed.
pub(crate) fn file_times(settings: &TlsSettings) -> Vec<Option<SystemTime>> {
    let files = settings.texts().filter_map(|text| match text {
        Text::File(path) => Some(path),
        Text::Inline(_) => None,
    });
    files.map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok()).collect()
}

/// Adds the settings to a client.
///
/// # Errors
/// Which certificate or key cannot be used.
pub(crate) fn apply(builder: ClientBuilder, settings: &TlsSettings, http2: bool) -> Result<ClientBuilder, String> {
    if *settings == TlsSettings::default() {
        return Ok(builder);
    }
    let alpn: &[&str] = if http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
    Ok(builder.tls_backend_preconfigured(in_collector_words(settings).client_config(alpn)?))
}

fn in_collector_words(settings: &TlsSettings) -> ClientTls {
    let split = |text: Option<&Text>| match text {
        None => (Spanned::default(), Secret::default()),
        Some(Text::Inline(pem)) => (Spanned::default(), pem.clone()),
        Some(Text::File(path)) => (Spanned::built_in(path.clone()), Secret::default()),
    };
    let version = |version: Option<TlsVersion>| {
        Spanned::built_in(match version {
            None => String::new(),
            Some(TlsVersion::Tls12) => "1.2".to_owned(),
            Some(TlsVersion::Tls13) => "1.3".to_owned(),
        })
    };
    let (ca_file, ca_pem) = split(settings.ca.as_ref());
    let (cert_file, cert_pem) = split(settings.identity.as_ref().map(|(cert, _)| cert));
    let (key_file, key_pem) = split(settings.identity.as_ref().map(|(_, key)| key));
    let (min_version, max_version) = (version(settings.min_version), version(settings.max_version));
    let files = Common { ca_file, ca_pem, cert_file, cert_pem, key_file, key_pem, ..Common::default() };
    ClientTls {
        insecure_skip_verify: settings.insecure_skip_verify,
        server_name_override: Spanned::built_in(settings.server_name.clone()),
        common: Common { min_version, max_version, ..files },
        ..ClientTls::default()
    }
}
