//! Problems of TLS settings by place and words, and what is spoken with the settings that are right.

use super::{ClientTls, ServerTls, names};

fn problems(text: &str, check: fn(&crate::Node) -> Vec<crate::Diagnostic>) -> Vec<String> {
    let (node, _) = crate::parse_yaml("test.yaml", text);
    check(&node.unwrap()).iter().map(|d| format!("{d}")).collect()
}

fn server(node: &crate::Node) -> Vec<crate::Diagnostic> {
    let (tls, mut found) = crate::decode::<ServerTls>(node);
    found.extend(tls.unwrap().check());
    found
}

fn client(node: &crate::Node) -> Vec<crate::Diagnostic> {
    let (tls, mut found) = crate::decode::<ClientTls>(node);
    found.extend(tls.unwrap().check());
    found
}

const PAIR: &str = "cert_file: c, key_file: k";

#[test]
fn names_that_nobody_or_only_go_knows_are_refused_with_their_place() {
    for (keys, expected) in [
        (
            "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265]",
            "invalid TLS cipher suite: \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265\"",
        ),
        ("cipher_suites: [nonsense]", "invalid TLS cipher suite: \"nonsense\""),
        (
            "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
            "cipher suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA is weak and not spoken",
        ),
        ("curve_preferences: [P256, P521]", "curve P521 is not spoken"),
        ("curve_preferences: [secp256r1]", "invalid curve type: \"secp256r1\""),
        ("min_version: \"1.4\"", "unsupported TLS version: \"1.4\""),
        (
            "max_version: \"1.2\", cipher_suites: [TLS_AES_128_GCM_SHA256]",
            "none of the cipher suites is one of TLS 1.2",
        ),
        ("max_version: \"1.2\", curve_preferences: [X25519MLKEM768]", "has no curve X25519MLKEM768"),
        ("reload_interval: -1s", "reload_interval must not be negative"),
    ] {
        for (text, check) in [(format!("{{{PAIR}, {keys}}}"), server as fn(&_) -> _), (format!("{{{keys}}}"), client)] {
            let found = problems(&text, check);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(expected) && found[0].starts_with("test.yaml:1:"), "{found:?}");
        }
    }
}

#[test]
fn a_near_name_is_suggested_and_otherwise_all_are_listed() {
    let near = names::suite_problem("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265").unwrap().1;
    assert_eq!(near, "did you mean \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"?");
    let all = names::suite_problem("TLS_RSA_WITH_RC4_128_SHA").unwrap().1;
    assert!(all.starts_with("remove it; known are TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "), "{all}");
    assert_eq!(names::group_problem("P512").unwrap().1, "known are X25519MLKEM768, X25519, P256, P384");
}

#[test]
fn what_has_no_effect_is_a_warning_and_a_name_must_be_one() {
    for (text, check, expected) in [
        ("ca_file: x", server as fn(&_) -> _, "a server does not check servers"),
        ("ca_pem: x", server, "a server does not check servers"),
        ("include_system_ca_certs_pool: true", server, "a server does not check servers"),
        ("client_ca_file_reload: true", server, "client_ca_file_reload has no effect"),
        ("min_version: \"1.3\", cipher_suites: [TLS_AES_128_GCM_SHA256]", server, "cipher_suites has no effect"),
        ("server_name_override: \"a:4317\"", client, "server_name_override \"a:4317\" is not a host name"),
        ("server_name_override: \"https://a\"", client, "is not a host name"),
    ] {
        let found = problems(&format!("{{{PAIR}, {text}}}"), check);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
    for text in
        ["server_name_override: 10.0.0.1", "server_name_override: \"a.b-c.example.\"", "curve_preferences: [P384]"]
    {
        assert_eq!(problems(&format!("{{{text}}}"), client), [""; 0], "{text}");
    }
}

#[cfg(feature = "rustls")]
mod spoken {
    //! The settings in the hands of the TLS library: two ends in one process shake hands.

    use std::collections::BTreeSet;
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    use rustls::{ClientConnection, ServerConnection};
    use rustls_pki_types::ServerName;

    use super::super::material::go_curve_name;
    use super::super::{ClientTls, Common, ServerTls, names};
    use crate::{GoDuration, Secret, Spanned};

    struct Authority {
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new() -> Authority {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            Authority { pem, issuer: Issuer::new(params, key) }
        }

        /// Certificate and key for a name.
        fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.extended_key_usages.push(usage);
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
        }

        fn server(&self, name: &str) -> ServerTls {
            let (cert, key) = self.sign(name, ExtendedKeyUsagePurpose::ServerAuth);
            let (cert_pem, key_pem) = (Secret::new(cert), Secret::new(key));
            ServerTls { common: Common { cert_pem, key_pem, ..Common::default() }, ..ServerTls::default() }
        }

        fn client(&self) -> ClientTls {
            let common = Common { ca_pem: Secret::new(&*self.pem), ..Common::default() };
            ClientTls { common, ..ClientTls::default() }
        }
    }

    fn words(list: &[&str]) -> Vec<Spanned<String>> {
        list.iter().map(|word| Spanned::built_in((*word).to_owned())).collect()
    }

    /// What both ends agreed on: version, suite, group, and the name that the client sent.
    fn shake(client: &ClientTls, server: &ServerTls, dialled: &str) -> Result<[String; 4], String> {
        let name = ServerName::try_from(dialled.to_owned()).unwrap();
        let client = Arc::new(client.client_config(&["h2"])?);
        let server = Arc::new(server.server_config(&["h2", "http/1.1"])?);
        let mut client = ClientConnection::new(client, name).map_err(|e| e.to_string())?;
        let mut server = ServerConnection::new(server).map_err(|e| e.to_string())?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().map_err(|e| format!("server: {e}"))?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().map_err(|e| format!("client: {e}"))?;
            }
        }
        assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
        let group = format!("{:?}", client.negotiated_key_exchange_group().unwrap().name());
        Ok([
            format!("{:?}", client.protocol_version().unwrap()),
            format!("{:?}", client.negotiated_cipher_suite().unwrap().suite()),
            go_curve_name(&group).to_owned(),
            server.server_name().unwrap_or_default().to_owned(),
        ])
    }

    #[test]
    fn the_names_are_those_that_the_library_has() {
        let provider = Common::default().provider();
        let suites: BTreeSet<_> =
            provider.cipher_suites.iter().map(|s| format!("{:?}", s.suite()).replace("TLS13_", "TLS_")).collect();
        let named = names::SUITES_OF_1_2.iter().chain(&names::SUITES_OF_1_3).map(|s| (*s).to_owned()).collect();
        assert_eq!(suites, named);
        let groups: BTreeSet<_> =
            provider.kx_groups.iter().map(|g| go_curve_name(&format!("{:?}", g.name())).to_owned()).collect();
        assert_eq!(groups, names::GROUPS.iter().map(|g| (*g).to_owned()).collect());
    }

    #[test]
    fn versions_suites_and_groups_are_those_that_were_chosen() {
        let authority = Authority::new();
        let server = authority.server("a.test");
        let mut client = authority.client();
        assert_eq!(shake(&client, &server, "a.test").unwrap()[0], "TLSv1_3");
        client.common.max_version = Spanned::built_in("1.2".to_owned());
        client.common.cipher_suites = words(&["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]);
        client.common.curve_preferences = words(&["P384"]);
        let agreed = shake(&client, &server, "a.test").unwrap();
        assert_eq!(agreed, ["TLSv1_2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "P384", "a.test"]);
        client.common.cipher_suites = words(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
        // The server's key is of the other kind.
        assert!(shake(&client, &server, "a.test").is_err());
        let mut strict = authority.server("a.test");
        strict.common.min_version = Spanned::built_in("1.3".to_owned());
        strict.common.curve_preferences = words(&["P256"]);
        assert!(shake(&client, &strict, "a.test").is_err());
        assert_eq!(shake(&authority.client(), &strict, "a.test").unwrap()[2], "P256");
    }

    #[test]
    fn certificates_are_verified_for_the_dialled_or_the_given_name() {
        let (authority, other) = (Authority::new(), Authority::new());
        let server = authority.server("a.test");
        assert!(shake(&authority.client(), &server, "b.test").is_err());
        assert!(shake(&other.client(), &server, "a.test").is_err());
        let named =
            |name: &str| ClientTls { server_name_override: Spanned::built_in(name.to_owned()), ..authority.client() };
        assert_eq!(shake(&named("a.test"), &server, "b.test").unwrap()[3], "b.test");
        assert!(shake(&named("b.test"), &server, "a.test").is_err());
        // An address is never sent as a name, and neither is the host in its place.
        assert_eq!(shake(&named("10.1.2.3"), &authority.server("10.1.2.3"), "b.test").unwrap()[3], "");
        let blind = ClientTls { insecure_skip_verify: true, ..other.client() };
        assert_eq!(shake(&blind, &server, "b.test").unwrap()[3], "b.test");
        let both = Common { include_system_ca_certs_pool: Spanned::built_in(true), ..authority.client().common };
        assert!(shake(&ClientTls { common: both, ..ClientTls::default() }, &server, "a.test").is_ok());
    }

    #[test]
    fn a_clients_certificate_is_read_again_after_the_interval_and_a_bad_one_is_not_taken() {
        let (authority, clients, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
        let path = |name: &str| Spanned::built_in(dir.path().join(name).display().to_string());
        std::fs::write(dir.path().join("ca.pem"), &clients.pem).unwrap();
        let write = |from: &Authority| {
            let (cert, key) = from.sign("agent", ExtendedKeyUsagePurpose::ClientAuth);
            std::fs::write(dir.path().join("cert.pem"), cert).unwrap();
            std::fs::write(dir.path().join("key.pem"), key).unwrap();
        };
        write(&authority);
        let server = ServerTls { client_ca_file: path("ca.pem"), ..authority.server("a.test") };
        assert!(shake(&authority.client(), &server, "a.test").is_err());
        let client = |interval: i64| ClientTls {
            common: Common {
                cert_file: path("cert.pem"),
                key_file: path("key.pem"),
                reload_interval: Spanned::built_in(GoDuration::from_nanos(interval)),
                ..authority.client().common
            },
            ..ClientTls::default()
        };
        for (interval, later) in [(0, false), (1, true)] {
            write(&authority);
            let config = client(interval).client_config(&[]).unwrap();
            let resolver = config.client_auth_cert_resolver.clone();
            let shown = || resolver.resolve(&[], &[]).unwrap().cert[0].clone();
            let first = shown();
            std::fs::write(dir.path().join("cert.pem"), "nonsense").unwrap();
            assert_eq!(shown(), first);
            write(&clients);
            assert_eq!(shown() != first, later);
        }
        assert!(shake(&client(0), &server, "a.test").is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let authority = Authority::new();
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none").display().to_string();
        let error = |common: Common| {
            let tls = ClientTls { common: Common { ..common }, ..ClientTls::default() };
            tls.client_config(&[]).unwrap_err()
        };
        let text = error(Common { ca_file: Spanned::built_in(none.clone()), ..Common::default() });
        assert!(text.starts_with(&format!("cannot read {none}: No such file")), "{text}");
        let text = error(Common { ca_pem: Secret::new("nonsense"), ..Common::default() });
        assert_eq!(text, "no certificate in ca_pem");
        let usage = || ExtendedKeyUsagePurpose::ClientAuth;
        let (cert, other_key) = (authority.sign("a", usage()).0, authority.sign("b", usage()).1);
        let pair = Common { cert_pem: Secret::new(cert), key_pem: Secret::new(other_key), ..Common::default() };
        let text = error(Common { ca_pem: Secret::new(&*authority.pem), ..pair });
        assert!(text.starts_with("cannot use the certificate in cert_pem with the key in key_pem: "), "{text}");
    }
}
