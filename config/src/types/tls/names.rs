//! Names of cipher suites and key exchange groups, as Go and so the Collector's users write them. Which of them this
//! agent speaks is what its TLS library has; a test compares.

use crate::hint;

/// Suites of TLS 1.2 that are spoken.
pub(super) const SUITES_OF_1_2: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Suites of TLS 1.3 that are spoken. A list of suites does not choose among them, in Go as here.
pub(super) const SUITES_OF_1_3: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Key exchange groups that are spoken.
pub(super) const GROUPS: [&str; 4] = ["X25519MLKEM768", "X25519", "P256", "P384"];

/// Suites that Go has and this agent does not: without forward secrecy, or with CBC, RC4 or 3DES.
const SUITES_NOT_SPOKEN: [&str; 16] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_RC4_128_SHA",
];

/// What is wrong with the name of a suite: message and help.
pub(super) fn suite_problem(name: &str) -> Option<(String, String)> {
    let spoken = || SUITES_OF_1_2.iter().chain(&SUITES_OF_1_3).copied();
    if spoken().any(|known| known == name) {
        return None;
    }
    let all = format!("known are {}", spoken().collect::<Vec<_>>().join(", "));
    if SUITES_NOT_SPOKEN.contains(&name) {
        return Some((format!("cipher suite {name} is weak and not spoken"), format!("remove it; {all}")));
    }
    let near = hint::nearest(name, spoken()).map(|near| format!("did you mean {near:?}?"));
    Some((format!("invalid TLS cipher suite: {name:?}"), near.unwrap_or(all)))
}

/// What is wrong with the name of a key exchange group: message and help.
pub(super) fn group_problem(name: &str) -> Option<(String, String)> {
    let help = format!("known are {}", GROUPS.join(", "));
    match name {
        name if GROUPS.contains(&name) => None,
        "P521" => Some(("curve P521 is not spoken".to_owned(), format!("remove it; {help}"))),
        name => Some((format!("invalid curve type: {name:?}"), help)),
    }
}
