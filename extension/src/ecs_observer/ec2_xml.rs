//! Reads EC2's XML: the instances of a `DescribeInstances` answer, or the error of a refusal. Unknown elements are
//! skipped; nothing here does I/O.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::world::Instance;

/// Deepest nesting that is read; EC2's answers are about ten deep.
const MAX_DEPTH: usize = 64;

/// One page of instances.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) instances: Vec<Instance>,
    pub(crate) next_token: Option<String>,
}

/// Reads an answer.
pub(crate) fn page(xml: &[u8]) -> Result<Page, String> {
    let mut page = Page::default();
    let mut instance = Instance::default();
    let mut tag = (String::new(), String::new());
    walk(xml, |path, text| {
        let path = match path.strip_prefix("DescribeInstancesResponse") {
            Some(path) => path.trim_start_matches('/'),
            None => return Err(format!("expected DescribeInstancesResponse, got {path}")),
        };
        let Some(field) = path.strip_prefix("reservationSet/item/instancesSet/item") else {
            if path == "nextToken" {
                page.next_token = Some(text);
            }
            return Ok(());
        };
        match field {
            "" => page.instances.push(std::mem::take(&mut instance)),
            "/instanceId" => instance.id = text,
            "/instanceType" => instance.instance_type = text,
            "/privateIpAddress" => instance.private_ip = text,
            "/ipAddress" => instance.public_ip = text,
            "/ipv6Address" => instance.ipv6 = text,
            "/vpcId" => instance.vpc_id = text,
            "/subnetId" => instance.subnet_id = text,
            "/tagSet/item/key" => tag.0 = text,
            "/tagSet/item/value" => tag.1 = text,
            "/tagSet/item" => instance.tags.push(std::mem::take(&mut tag)),
            "/networkInterfaceSet/item/ipv6AddressesSet/item/ipv6Address" if instance.ipv6.is_empty() => {
                instance.ipv6 = text;
            }
            _ => {}
        }
        Ok(())
    })?;
    page.instances.retain(|i| !i.id.is_empty());
    Ok(page)
}

/// Code and message of a refusal, if it is one of EC2's.
pub(crate) fn error(xml: &[u8]) -> Option<(String, String)> {
    let (mut code, mut message) = (String::new(), String::new());
    walk(xml, |path, text| {
        match path {
            "Response/Errors/Error/Code" => code = text,
            "Response/Errors/Error/Message" => message = text,
            _ => {}
        }
        Ok(())
    })
    .ok()?;
    (!code.is_empty()).then_some((code, message))
}

/// Calls `end` at the end of every element with its path from the root, `a/b/c`, and its text.
fn walk(xml: &[u8], mut end: impl FnMut(&str, String) -> Result<(), String>) -> Result<(), String> {
    let unreadable = |e: &dyn std::fmt::Display| format!("the answer is not readable XML: {e}");
    let mut reader = Reader::from_str(std::str::from_utf8(xml).map_err(|e| unreadable(&e))?);
    let mut path = String::new();
    let mut depth = 0;
    let mut text = String::new();
    loop {
        match reader.read_event().map_err(|e| unreadable(&e))? {
            Event::Start(element) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(unreadable(&format!("more than {MAX_DEPTH} elements deep")));
                }
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(element.local_name().as_ref());
                text.clear();
            }
            Event::Text(t) => text.push_str(&t),
            Event::CData(t) => text.push_str(&t),
            Event::GeneralRef(name) => {
                let c = match name.resolve_char_ref().map_err(|e| unreadable(&e))? {
                    Some(c) => c,
                    None => match name.as_ref() {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        other => return Err(unreadable(&format!("entity {other}"))),
                    },
                };
                text.push(c);
            }
            Event::End(_) => {
                end(&path, std::mem::take(&mut text))?;
                path.truncate(path.rfind('/').unwrap_or(0));
                depth -= 1;
            }
            Event::Eof if depth > 0 => return Err(unreadable(&"it ends early")),
            Event::Eof => return Ok(()),
            // <empty/>, declarations, comments.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>8f7724cf</requestId>
  <reservationSet>
    <item>
      <reservationId>r-1</reservationId>
      <groupSet/>
      <instancesSet>
        <item>
          <instanceId>i-1</instanceId>
          <instanceState><code>16</code><name>running</name></instanceState>
          <privateIpAddress>10.0.0.1</privateIpAddress>
          <ipAddress>54.0.0.1</ipAddress>
          <instanceType>t3.small</instanceType>
          <vpcId>vpc-1</vpcId>
          <subnetId>subnet-1</subnetId>
          <groupSet><item><groupId>sg-1</groupId></item></groupSet>
          <tagSet>
            <item><key>Name</key><value>a &amp; b &#x263A;</value></item>
            <item><key>empty</key><value/></item>
          </tagSet>
          <networkInterfaceSet><item>
            <privateIpAddress>10.9.9.9</privateIpAddress>
            <ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet>
          </item></networkInterfaceSet>
        </item>
        <item><instanceId>i-2</instanceId></item>
      </instancesSet>
    </item>
    <item><instancesSet><item><instanceId>i-3</instanceId></item></instancesSet></item>
  </reservationSet>
  <nextToken>more</nextToken>
</DescribeInstancesResponse>"#;

    #[test]
    fn an_answer_gives_instances_of_all_reservations_and_the_token() {
        let page = page(ANSWER.as_bytes()).unwrap();
        let ids: Vec<_> = page.instances.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids, ["i-1", "i-2", "i-3"]);
        assert_eq!(page.next_token.as_deref(), Some("more"));
        assert_eq!(
            page.instances[0],
            Instance {
                id: "i-1".into(),
                instance_type: "t3.small".into(),
                vpc_id: "vpc-1".into(),
                subnet_id: "subnet-1".into(),
                private_ip: "10.0.0.1".into(),
                ipv6: "2001:db8::1".into(),
                public_ip: "54.0.0.1".into(),
                tags: vec![("Name".into(), "a & b ☺".into()), ("empty".into(), String::new())],
            }
        );
    }

    #[test]
    fn a_refusal_has_code_and_message() {
        let xml = b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not</Message></Error>\
                    </Errors><RequestID>1</RequestID></Response>";
        assert_eq!(error(xml), Some(("UnauthorizedOperation".into(), "You are not".into())));
        assert_eq!(error(b"<html>gateway</html>"), None);
        assert_eq!(error(b"not xml <"), None);
    }

    #[test]
    fn garbage_is_an_error_and_not_an_empty_answer() {
        let deep = "<a>".repeat(100);
        for xml in ["<html><p>hello</p></html>", &ANSWER[..ANSWER.len() / 2], "<a>&nope;</a>", &deep, "<a></b>"] {
            assert!(page(xml.as_bytes()).is_err(), "{xml}");
        }
    }
}
