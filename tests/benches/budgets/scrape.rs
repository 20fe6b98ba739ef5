//! A scrape: the `prometheus` receiver asks a server on loopback for a page; the batch is let go or encoded as EMF.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc as blocking;
use std::time::Duration;

use proto::{Batch, BoxFuture, BuildContext, Next, Refusal, Stop};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::emf::Encoder;
use super::page::page;

const EMF: &str = "
namespace: ECS/ContainerInsights/Prometheus
log_group_name: '/aws/ecs/containerinsights/{ClusterName}/prometheus'
log_stream_name: s
dimension_rollup_option: NoDimensionRollup
metric_declarations:
  - dimensions: [[ClusterName, TaskGroup]]
    metric_name_selectors: ['^app_requests_.*_total$', '^app_latency_seconds$']
";

/// A receiver with one target. Time stands still but for the rounds, so that none waits for the next scrape.
pub(crate) struct Scrape {
    encoder: Option<Encoder>,
    samples: usize,
    batches: mpsc::Receiver<Batch>,
    /// Keeps the clock from running ahead while the runtime waits for the server.
    _awake: blocking::Sender<()>,
    runtime: Runtime,
}

impl Scrape {
    pub(crate) fn new(encodes: bool) -> Scrape {
        let pages = [page(0), page(1)];
        let samples = pages[0].1;
        let address = serve(pages.map(|(text, _)| answer(&text)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let (awake, sleeper) = blocking::channel::<()>();
        runtime.spawn_blocking(move || sleeper.recv().is_ok());
        let (sender, batches) = mpsc::channel(1);
        runtime.block_on(start(address, sender));
        let encoder = encodes.then(|| Encoder::new(EMF));
        Scrape { encoder, samples, batches, _awake: awake, runtime }
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    pub(crate) fn round(&mut self) {
        let batches = &mut self.batches;
        let batch = self.runtime.block_on(async {
            tokio::time::advance(Duration::from_secs(1)).await;
            batches.recv().await.expect("the receiver runs")
        });
        // Fourteen samples of a histogram are a point; `up` and its like come in addition.
        assert!(batch.histograms.len() == 267 && batch.numbers.len() > 6250, "{}", batch.points());
        if let Some(encoder) = &mut self.encoder {
            encoder.encode(&batch);
        }
    }
}

async fn start(address: SocketAddr, sender: mpsc::Sender<Batch>) {
    let text = format!(
        "config:
  global: {{scrape_interval: 1s, scrape_timeout: 1s}}
  scrape_configs:
    - job_name: bench
      static_configs: [{{targets: ['{address}'], labels: {{ClusterName: prod, TaskGroup: 'service:s'}}}}]
"
    );
    let (node, found) = config::parse_yaml("bench.yaml", &text);
    let node = node.unwrap_or_else(|| panic!("{found:?}"));
    let (receiver, found) = (receiver::prometheus::FACTORY.build)(&node, &BuildContext::for_test("prometheus"));
    let next = Next::new(move |batch: Batch| -> BoxFuture<'static, Result<(), Refusal>> {
        let sender = sender.clone();
        Box::pin(async move { sender.send(batch).await.map_err(|_| Refusal::permanent("the bench is over")) })
    });
    let task = receiver.unwrap_or_else(|| panic!("{found:?}")).start(next, Stop::new()).await;
    tokio::spawn(task.expect("the receiver starts"));
    // Its tasks come up one after the other; the last of them waits for the clock.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn answer(page: &str) -> Vec<u8> {
    let length = page.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    format!("{head}content-length: {length}\r\n\r\n{page}").into_bytes()
}

/// Serves the answers in turn from a thread that allocates nothing for a request.
fn serve(answers: [Vec<u8>; 2]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut turns = answers.iter().cycle();
        while let Ok((mut stream, _)) = listener.accept() {
            while request(&mut stream) && stream.write_all(turns.next().expect("it is endless")).is_ok() {}
        }
    });
    address
}

/// Reads the head of a request; false at the end of the connection.
fn request(stream: &mut TcpStream) -> bool {
    let mut head = [0; 4096];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[length..]) {
            Ok(read) if read > 0 => length += read,
            _ => return false,
        }
    }
    true
}
