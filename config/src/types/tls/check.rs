//! What is wrong with TLS settings, with positions. Reads no files.

use std::net::IpAddr;

use super::{ClientTls, Common, ServerTls, Version, names};
use crate::decode::Spanned;
use crate::diagnostic::Diagnostic;

impl ClientTls {
    /// Every problem of these settings, with positions.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = self.common.check();
        let name = &self.server_name_override;
        if !name.is_empty() && !is_host(name) {
            let problem = name.error(format!("server_name_override {:?} is not a host name", name.value));
            found.push(problem.help("write the name that the server's certificate is for, without a port"));
        }
        found
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
        let mut without_effect = |written: bool, problem: Diagnostic| {
            if written {
                found.push(problem);
            }
        };
        let text = "a server does not check servers: ca_file, ca_pem and include_system_ca_certs_pool have no effect";
        let help = "client_ca_file names the authorities of clients";
        without_effect(!common.ca_file.is_empty(), common.ca_file.warning(text).help(help));
        let pool = &common.include_system_ca_certs_pool;
        without_effect(common.ca_file.is_empty() && **pool, pool.warning(text).help(help));
        let only_pem = common.ca_file.is_empty() && !**pool && !common.ca_pem.is_empty();
        without_effect(only_pem, common.ca_file.warning(text).help(help));
        let reload = &self.client_ca_file_reload;
        let text = "client_ca_file_reload has no effect without client_ca_file";
        without_effect(**reload && self.client_ca_file.is_empty(), reload.warning(text));
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
        self.check_names(min, max, &mut found);
        if self.reload_interval.is_negative() {
            found.push(self.reload_interval.error("reload_interval must not be negative"));
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

    fn check_names(&self, min: Version, max: Version, found: &mut Vec<Diagnostic>) {
        let of = |list: &[Spanned<String>], problem: fn(&str) -> Option<(String, String)>| -> Vec<Diagnostic> {
            let problems = list.iter().filter_map(|name| Some((name, problem(name)?)));
            problems.map(|(name, (message, help))| name.error(message).help(help)).collect()
        };
        let wrong = of(&self.cipher_suites, names::suite_problem);
        let all_known = wrong.is_empty();
        found.extend(wrong);
        if let Some(first) = self.cipher_suites.first().filter(|_| all_known) {
            let of_1_2 = self.cipher_suites.iter().any(|name| names::SUITES_OF_1_2.contains(&name.as_str()));
            if max == Version::V1_2 && !of_1_2 {
                let problem = first.error("none of the cipher suites is one of TLS 1.2, the only version to speak");
                found.push(problem.help(format!("add one of {}", names::SUITES_OF_1_2.join(", "))));
            }
            if min == Version::V1_3 {
                let text = "cipher_suites has no effect with min_version \"1.3\": it chooses among those of TLS 1.2";
                found.push(first.warning(text).help("remove the key"));
            }
        }
        let wrong = of(&self.curve_preferences, names::group_problem);
        let all_known = wrong.is_empty();
        found.extend(wrong);
        if let Some(first) = self.curve_preferences.first().filter(|_| all_known)
            && max == Version::V1_2
            && self.curve_preferences.iter().all(|name| name.as_str() == "X25519MLKEM768")
        {
            found.push(
                first.error("TLS 1.2, the only version to speak, has no curve X25519MLKEM768").help("add X25519"),
            );
        }
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

/// Whether it is a name of DNS or an address.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.trim_end_matches('.').split('.').all(label))
}
