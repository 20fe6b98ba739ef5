//! `dns_sd_configs`: targets from DNS records. A failed lookup keeps the previous targets of the name; the answer that
//! there is no such name or record empties them.

use std::net::Ipv6Addr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::super::config::DnsRecord;
use super::{DiscoveredTarget, DiscoveryContext};

/// Follows the names.
pub(super) async fn run(
    block: usize,
    names: Vec<String>,
    record: DnsRecord,
    port: u16,
    refresh: Duration,
    context: &DiscoveryContext,
) {
    let mut known: Vec<Vec<DiscoveredTarget>> = vec![Vec::new(); names.len()];
    let mut last: Option<Vec<DiscoveredTarget>> = None;
    loop {
        let answers = futures_util::future::join_all(names.iter().map(|name| lookup_now(name, record, port))).await;
        for (slot, (name, answer)) in known.iter_mut().zip(names.iter().zip(answers)) {
            match answer {
                Ok(targets) => *slot = targets,
                Err(error) => {
                    context.metrics.failed("dns_sd");
                    tracing::error!(
                        job = &*context.job,
                        name,
                        error,
                        "cannot look up targets, keeping the ones there are"
                    );
                }
            }
        }
        let targets: Vec<DiscoveredTarget> = known.iter().flatten().cloned().collect();
        if last.as_ref() != Some(&targets) {
            context.send(block, targets.clone()).await;
            last = Some(targets);
        }
        tokio::time::sleep(refresh).await;
    }
}

/// With the system's servers as they are configured now.
async fn lookup_now(name: &str, record: DnsRecord, port: u16) -> Result<Vec<DiscoveredTarget>, String> {
    let builder =
        TokioResolver::builder_tokio().map_err(|error| format!("cannot read the DNS configuration: {error}"))?;
    let resolver = builder.build().map_err(|error| error.to_string())?;
    lookup(&resolver, name, record, port).await
}

async fn lookup(
    resolver: &TokioResolver,
    name: &str,
    record: DnsRecord,
    port: u16,
) -> Result<Vec<DiscoveredTarget>, String> {
    let kind = match record {
        DnsRecord::Srv => RecordType::SRV,
        DnsRecord::A => RecordType::A,
        DnsRecord::Aaaa => RecordType::AAAA,
        DnsRecord::Mx => RecordType::MX,
        DnsRecord::Ns => RecordType::NS,
    };
    match resolver.lookup(name, kind).await {
        Ok(answer) => {
            let mut targets: Vec<_> =
                answer.answers().iter().filter_map(|record| target(name, &record.data, port)).collect();
            targets.sort();
            Ok(targets)
        }
        Err(error) if error.is_nx_domain() || error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// The target of a record; `None` for records that were not asked for, such as CNAME.
fn target(name: &str, data: &RData, port: u16) -> Option<DiscoveredTarget> {
    let mut srv = (String::new(), String::new());
    let (mut mx, mut ns) = (String::new(), String::new());
    let address = match data {
        RData::SRV(record) => {
            srv = (record.target.to_utf8(), record.port.to_string());
            format!("{}:{}", host(&record.target), record.port)
        }
        RData::MX(record) => {
            mx = record.exchange.to_utf8();
            format!("{}:{port}", host(&record.exchange))
        }
        RData::NS(record) => {
            ns = record.0.to_utf8();
            format!("{}:{port}", host(&record.0))
        }
        RData::A(record) => format!("{}:{port}", record.0),
        RData::AAAA(record) => ipv6(record.0, port),
        _ => return None,
    };
    let labels = [
        ("__address__", address),
        ("__meta_dns_name", name.to_owned()),
        ("__meta_dns_srv_record_target", srv.0),
        ("__meta_dns_srv_record_port", srv.1),
        ("__meta_dns_mx_record_target", mx),
        ("__meta_dns_ns_record_target", ns),
    ];
    Some(labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn ipv6(address: Ipv6Addr, port: u16) -> String {
    format!("[{address}]:{port}")
}

/// Without the dot at the end.
fn host(name: &Name) -> String {
    name.to_utf8().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, SRV};
    use tokio::net::UdpSocket;

    use super::*;

    fn records(name: &str, kind: RecordType) -> Option<Vec<RData>> {
        let host = |text: &str| Name::from_ascii(text).unwrap();
        Some(match (name, kind) {
            ("web.example.", RecordType::A) => vec![
                RData::CNAME(CNAME(host("real.example."))),
                RData::A(A(Ipv4Addr::new(10, 0, 0, 2))),
                RData::A(A(Ipv4Addr::new(10, 0, 0, 1))),
            ],
            ("web.example.", RecordType::AAAA) => vec![RData::AAAA(AAAA("2001:db8::1".parse().unwrap()))],
            ("_m._tcp.example.", RecordType::SRV) => vec![RData::SRV(SRV::new(0, 0, 9100, host("a.example.")))],
            ("example.", RecordType::MX) => vec![RData::MX(MX::new(10, host("mail.example.")))],
            ("example.", RecordType::NS) => vec![RData::NS(NS(host("ns.example.")))],
            _ => return None,
        })
    }

    async fn server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..size]).unwrap();
                let query = question.queries[0].clone();
                let mut answer = Message::response(question.metadata.id, OpCode::Query);
                let name = query.name().to_ascii();
                answer.metadata.response_code = match (name.as_str(), records(&name, query.query_type())) {
                    ("broken.example.", _) => ResponseCode::ServFail,
                    (_, None) => ResponseCode::NXDomain,
                    (_, Some(list)) => {
                        for data in list {
                            // The address behind a CNAME belongs to the other name.
                            let owner = if matches!(data, RData::A(_)) { "real.example." } else { name.as_str() };
                            answer.add_answer(Record::from_rdata(Name::from_ascii(owner).unwrap(), 60, data));
                        }
                        ResponseCode::NoError
                    }
                };
                answer.queries.push(query);
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn records_become_targets_with_their_labels() {
        let address = server().await;
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
        for (name, record, expected) in [
            ("web.example.", DnsRecord::A, Some("10.0.0.1:80 10.0.0.2:80")),
            ("web.example.", DnsRecord::Aaaa, Some("[2001:db8::1]:80")),
            ("_m._tcp.example.", DnsRecord::Srv, Some("a.example:9100")),
            ("example.", DnsRecord::Mx, Some("mail.example:80")),
            ("example.", DnsRecord::Ns, Some("ns.example:80")),
            ("nobody.example.", DnsRecord::A, Some("")),
            ("broken.example.", DnsRecord::A, None),
        ] {
            let found = lookup(&resolver, name, record, 80).await;
            let addresses = |targets: Vec<DiscoveredTarget>| {
                let address = |target: &DiscoveredTarget| target[0].1.clone();
                targets.iter().map(address).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(found.map(addresses).ok().as_deref(), expected, "{name} {record:?}");
        }
        let srv = lookup(&resolver, "_m._tcp.example.", DnsRecord::Srv, 0).await.unwrap();
        let get = |key: &str| srv[0].iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        assert_eq!(get("__meta_dns_srv_record_target"), Some("a.example."));
        assert_eq!(get("__meta_dns_srv_record_port"), Some("9100"));
        assert_eq!(get("__meta_dns_name"), Some("_m._tcp.example."));
    }
}
