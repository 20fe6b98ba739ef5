//! `health_check`: an HTTP page that says whether the service is ready. It reflects start and stop only, as the
//! Collector's does; whether data arrives is told by own metrics.

mod config;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ::config::{Built, GoDuration, Node};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, Uri, header};
use proto::listen::{Family, listen};
use proto::{BoxFuture, BuildContext, Stop, Task};

use crate::{Extension, ExtensionFactory, Readiness, pages};

/// `health_check` in the table of extensions.
pub static FACTORY: ExtensionFactory = ExtensionFactory { kind: "health_check", build };

fn build(node: &Node, _: &BuildContext) -> Built<Box<dyn Extension>> {
    let (settings, found) = config::read(node);
    (settings.map(|settings| Box::new(HealthCheck(settings)) as Box<dyn Extension>), found)
}

struct HealthCheck(config::Settings);

impl Extension for HealthCheck {
    fn start(self: Box<Self>, ready: Readiness, stop: Stop) -> BoxFuture<'static, Result<Task, String>> {
        Box::pin(async move {
            let endpoint = &self.0.endpoint;
            let (host, port) = (endpoint.host().unwrap_or_default(), endpoint.port().unwrap_or_default());
            let bound = listen(host, port, Family::Any).await;
            let listener = bound.map_err(|e| format!("listen tcp {endpoint}: {e}"))?;
            let page = Arc::new(Page::new(self.0, ready));
            let note = page.clone();
            // Not a route of the router, whose paths are patterns.
            let app = Router::new().fallback(move |uri: Uri| async move { page.answer(uri.path()) });
            Ok(Box::pin(async move {
                let served = pages::serve(listener, app, stop.clone());
                let ((), _) = tokio::join!(served, stop.run_until_cancelled(note.note_start()));
                Ok(())
            }) as Task)
        })
    }
}

struct Page {
    settings: config::Settings,
    ready: Readiness,
    up: std::sync::OnceLock<(SystemTime, Instant)>,
}

impl Page {
    fn new(settings: config::Settings, ready: Readiness) -> Page {
        Page { settings, ready, up: std::sync::OnceLock::new() }
    }

    /// Remembers when the service became ready.
    async fn note_start(&self) {
        let mut ready = self.ready.clone();
        if ready.wait_for(|ready| *ready).await.is_ok() {
            self.up.get_or_init(|| (SystemTime::now(), Instant::now()));
        }
    }

    /// The path `/` answers everywhere, any other one exactly.
    fn answer(&self, path: &str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        if self.settings.path != "/" && self.settings.path != path {
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
        let ready = *self.ready.borrow();
        let (status, kind, text) = match (&self.settings.texts, ready) {
            (Some(texts), true) => (StatusCode::OK, "text/plain", texts.healthy.clone()),
            (Some(texts), false) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", texts.unhealthy.clone()),
            (None, true) => {
                let (since, start) = self.up.get_or_init(|| (SystemTime::now(), Instant::now()));
                let (since, uptime) = (rfc3339(*since), GoDuration::from_std(start.elapsed()));
                let text = format!(r#"{{"status":"Server available","upSince":"{since}","uptime":"{uptime}"}}"#);
                (StatusCode::OK, "application/json", text)
            }
            (None, false) => {
                let text = r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#;
                (StatusCode::SERVICE_UNAVAILABLE, "application/json", text.to_owned())
            }
        };
        *response.body_mut() = Body::from(text);
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().extend(self.settings.headers.iter().cloned());
        response
    }
}

/// Seconds precision, UTC.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = aws_smithy_types::DateTime::from_secs(seconds.cast_signed())
        .fmt(aws_smithy_types::date_time::Format::DateTime)
        .unwrap_or_default();
    if text.is_empty() { "1970-01-01T00:00:00Z".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    fn node(yaml: &str) -> Node {
        ::config::parse_yaml("test.yaml", yaml).0.unwrap()
    }

    async fn get(port: u16, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn it_answers_503_before_and_200_after_the_service_is_ready() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let context = BuildContext::for_test("health_check");
        let (extension, found) = build(&node(&format!("endpoint: 127.0.0.1:{port}\npath: /health")), &context);
        assert!(found.is_empty(), "{found:?}");
        let (ready, readiness) = watch::channel(false);
        let stop = Stop::new();
        let task = tokio::spawn(extension.unwrap().start(readiness, stop.clone()).await.unwrap());
        let before = get(port, "/health").await;
        assert!(before.starts_with("HTTP/1.1 503"), "{before}");
        assert!(before.contains("content-type: application/json"), "{before}");
        let body = r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#;
        assert!(before.ends_with(body), "{before}");
        ready.send_replace(true);
        let after = get(port, "/health").await;
        assert!(after.starts_with("HTTP/1.1 200"), "{after}");
        assert!(after.contains(r#"{"status":"Server available","upSince":"20"#), "{after}");
        let uptime = after.rsplit_once(r#""uptime":""#).unwrap().1.trim_end_matches("\"}");
        assert!(GoDuration::parse(uptime).unwrap().to_std() < Duration::from_secs(60), "{after}");
        assert!(get(port, "/other").await.starts_with("HTTP/1.1 404"));
        ready.send_replace(false);
        assert!(get(port, "/health").await.starts_with("HTTP/1.1 503"));
        stop.cancel();
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn texts_and_headers_can_be_chosen_and_the_root_answers_everywhere() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let text = format!(
            "endpoint: 127.0.0.1:{port}\nresponse_body: {{healthy: fine, unhealthy: wait}}\nresponse_headers: {{x-team: a}}"
        );
        let (extension, found) = build(&node(&text), &BuildContext::for_test("health_check"));
        assert!(found.is_empty(), "{found:?}");
        let (ready, readiness) = watch::channel(false);
        let stop = Stop::new();
        let task = tokio::spawn(extension.unwrap().start(readiness, stop.clone()).await.unwrap());
        let before = get(port, "/any/where?x=1").await;
        assert!(before.starts_with("HTTP/1.1 503") && before.ends_with("\r\n\r\nwait"), "{before}");
        ready.send_replace(true);
        let after = get(port, "/").await;
        assert!(after.starts_with("HTTP/1.1 200") && after.ends_with("\r\n\r\nfine"), "{after}");
        assert!(after.contains("content-type: text/plain") && after.contains("x-team: a"), "{after}");
        stop.cancel();
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_path_is_a_text_and_no_pattern() {
        for path in ["/:health", "/{health}", "/*all", "/a//b"] {
            let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            let text = format!("endpoint: 127.0.0.1:{port}\npath: '{path}'");
            let (extension, found) = build(&node(&text), &BuildContext::for_test("health_check"));
            assert!(found.is_empty(), "{found:?}");
            let (_ready, readiness) = watch::channel(true);
            let stop = Stop::new();
            let task = tokio::spawn(extension.unwrap().start(readiness, stop.clone()).await.unwrap());
            assert!(get(port, path).await.starts_with("HTTP/1.1 200"), "{path}");
            assert!(get(port, "/health").await.starts_with("HTTP/1.1 404"), "{path}");
            stop.cancel();
            task.await.unwrap().unwrap();
        }
    }

    #[test]
    fn what_it_cannot_start_with_is_told_by_validation() {
        let (extension, found) = build(
            &node("endpoint: /run/x.sock\nresponse_headers: {'x y': a, ok: b, x-z: \"c\\u0001\"}"),
            &BuildContext::for_test("health_check"),
        );
        assert!(extension.is_none());
        let texts: Vec<_> = found.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(
            texts,
            [
                "/run/x.sock is a path, and health_check listens on TCP only",
                "\"x y\" is not a header name",
                "the value of header \"x-z\" has a control character"
            ]
        );
        assert!(found.iter().all(|d| d.span.is_some() && d.help.is_some()), "{found:?}");
    }

    #[test]
    fn settings_it_cannot_honour_are_refused_by_name() {
        let check = |text: &str| build(&node(text), &BuildContext::for_test("health_check")).1;
        let (_, found) = build(&node("tls: {cert_file: a}\nuse_v2: true\n"), &BuildContext::for_test("health_check"));
        let texts: Vec<_> = found.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(texts, ["use_v2 is not supported", "health_check does not support tls"]);
        for key in [
            "http: {endpoint: 'a:1'}",
            "grpc: {endpoint: 'a:1'}",
            "component_health: {include_permanent_errors: true}",
            "tls: {cert_file: a}",
            "cors: {allowed_origins: ['*']}",
            "auth: {authenticator: basicauth}",
            "max_request_body_size: 1",
            "include_metadata: true",
            "compression_algorithms: [gzip]",
            "read_timeout: 1s",
            "read_header_timeout: 1s",
            "write_timeout: 1s",
            "idle_timeout: 1s",
            "keep_alives_enabled: false",
        ] {
            let found = check(key);
            let name = key.split(':').next().unwrap();
            assert_eq!(found.len(), 1, "{key}: {found:?}");
            assert_eq!(found[0].message, format!("health_check does not support {name}"));
            assert!(found[0].is_error() && found[0].help.is_some() && found[0].span.is_some(), "{found:?}");
        }
        let found = check("check_collector_pipeline: {enabled: true, interval: 5m, exporter_failure_threshold: 5}");
        assert!(found.len() == 1 && !found[0].is_error() && found[0].message.contains("no effect"), "{found:?}");
        assert!(check("transport: unix")[0].message.contains("only transport tcp"));
        assert!(check("path: health")[0].message.contains("path must start with /"));
        assert!(check("paht: /")[0].message.contains("unknown key \"paht\""));
    }
}
