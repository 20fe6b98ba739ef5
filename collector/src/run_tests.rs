use std::sync::Mutex;

use exporter::ExporterNode;
use extension::{Extension, Readiness};
use processor::{AnyProcessor, Stage};
use proto::{Batch, BoxFuture, Refusal, Task};
use receiver::Receiver;

use super::*;
use crate::assemble::Pipeline;

/// What happened, in order; the readiness; whether the exporters have stopped.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>, Arc<Mutex<Option<Readiness>>>, Stop);

impl Journal {
    fn note(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }

    fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn is_ready(&self) -> bool {
        self.1.lock().unwrap().as_ref().is_some_and(|ready| *ready.borrow())
    }
}

/// How a part behaves.
#[derive(Clone, Copy, Default, PartialEq)]
enum Behaviour {
    #[default]
    Good,
    CannotStart,
    Fails,
    Panics,
    /// Goes on after the stop until the exporters have stopped.
    Waits,
    /// Goes on for ever.
    Hangs,
}

struct Fake {
    kind: &'static str,
    journal: Journal,
    behaviour: Behaviour,
}

impl Fake {
    fn run(self, stop: Stop) -> Result<Task, String> {
        let Fake { kind, journal, behaviour } = self;
        if behaviour == Behaviour::CannotStart {
            return Err("the port is taken".to_owned());
        }
        journal.note(&format!("{kind} started"));
        Ok(Box::pin(async move {
            match behaviour {
                Behaviour::Fails => return Err("the disk is full".to_owned()),
                Behaviour::Panics => panic!("an invariant does not hold"),
                _ => stop.cancelled().await,
            }
            match behaviour {
                Behaviour::Waits => journal.2.cancelled().await,
                Behaviour::Hangs => {
                    journal.note(&format!("{kind} was asked"));
                    std::future::pending().await
                }
                _ => {}
            }
            let ready = if journal.is_ready() { "ready" } else { "not ready" };
            journal.note(&format!("{kind} stopped, {ready}"));
            Ok(())
        }))
    }
}

impl Extension for Fake {
    fn start(self: Box<Self>, ready: Readiness, stop: Stop) -> BoxFuture<'static, Result<Task, String>> {
        *self.journal.1.lock().unwrap() = Some(ready);
        Box::pin(async move { self.run(stop) })
    }
}

impl Receiver for Fake {
    fn start(self: Box<Self>, _: Next, stop: Stop) -> BoxFuture<'static, Result<Task, String>> {
        Box::pin(async move { self.run(stop) })
    }
}

impl Stage for Fake {
    fn connect(self: Box<Self>, next: Next, stop: Stop) -> (Next, Task) {
        (next, self.run(stop).unwrap())
    }
}

struct FakeExporter(Journal, Behaviour);

impl ExporterNode for FakeExporter {
    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        self.0.note("exporter started");
        Box::pin(async { Ok(()) })
    }

    fn export(&self, _: Arc<Batch>) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.1 == Behaviour::Hangs {
                tokio::time::sleep(deadline).await;
            }
            self.0.note("exporter stopped");
            self.0.2.cancel();
        })
    }
}

/// One part of each kind in one pipeline.
fn assembly(journal: &Journal, extension: Behaviour, receiver: Behaviour) -> Assembly {
    let fake = |kind, behaviour| Box::new(Fake { kind, journal: journal.clone(), behaviour });
    Assembly {
        extensions: vec![("health".to_owned(), fake("extension", extension))],
        exporters: [(
            "out".to_owned(),
            Arc::new(FakeExporter(journal.clone(), Behaviour::Good)) as Arc<dyn ExporterNode>,
        )]
        .into(),
        receivers: vec![("in".to_owned(), fake("receiver", receiver))],
        pipelines: vec![Pipeline {
            id: "metrics".to_owned(),
            receivers: vec!["in".to_owned()],
            processors: vec![("batch".to_owned(), AnyProcessor::Stage(fake("stage", Behaviour::Good)))],
            exporters: vec!["out".to_owned()],
        }],
    }
}

async fn start(journal: &Journal, extension: Behaviour, receiver: Behaviour) -> Result<Service, String> {
    Service::start(assembly(journal, extension, receiver), &BuildContext::for_test("")).await
}

#[tokio::test]
async fn parts_start_and_stop_in_the_collectors_order() {
    let journal = Journal::default();
    let service = start(&journal, Behaviour::Good, Behaviour::Good).await.unwrap();
    assert_eq!(journal.entries(), ["extension started", "exporter started", "stage started", "receiver started"]);
    assert!(journal.is_ready());
    service.stop().await;
    assert_eq!(
        journal.entries()[4..],
        ["receiver stopped, not ready", "stage stopped, not ready", "exporter stopped", "extension stopped, not ready"]
    );
}

#[tokio::test]
async fn what_was_started_is_stopped_when_a_part_cannot_start() {
    let journal = Journal::default();
    let error = start(&journal, Behaviour::Good, Behaviour::CannotStart).await.err().unwrap();
    assert_eq!(error, "cannot start pipelines: failed to start \"in\" receiver: the port is taken");
    assert_eq!(
        journal.entries()[3..],
        ["stage stopped, not ready", "exporter stopped", "extension stopped, not ready"]
    );
    let journal = Journal::default();
    let error = start(&journal, Behaviour::CannotStart, Behaviour::Good).await.err().unwrap();
    assert_eq!(error, "failed to start extensions: failed to start \"health\" extension: the port is taken");
    assert!(journal.entries().is_empty(), "{:?}", journal.entries());
}

#[tokio::test]
async fn a_part_that_ends_by_itself_is_told_with_its_name() {
    for (extension, receiver, want) in [
        (Behaviour::Fails, Behaviour::Good, "extension \"health\" failed: the disk is full"),
        (Behaviour::Good, Behaviour::Fails, "receiver \"in\" failed: the disk is full"),
        (Behaviour::Good, Behaviour::Panics, "receiver \"in\" panicked: "),
    ] {
        let journal = Journal::default();
        let mut service = start(&journal, extension, receiver).await.unwrap();
        let error = service.failure().await;
        assert!(error.starts_with(want), "{error}");
        // The others are still stopped in order.
        service.stop().await;
        assert_eq!(journal.entries().iter().filter(|entry| entry.contains(" stopped")).count(), 3, "{error}");
    }
}

/// Three pipelines of two stages with an exporter each.
fn pipelines(journal: &Journal, receiver: Behaviour, stage: Behaviour, exporter: Behaviour) -> Assembly {
    let mut assembly = assembly(journal, Behaviour::Good, receiver);
    (assembly.pipelines, assembly.exporters) = (Vec::new(), BTreeMap::new());
    for name in ["a", "b", "c"] {
        let fake = |kind| AnyProcessor::Stage(Box::new(Fake { kind, journal: journal.clone(), behaviour: stage }));
        let node: Arc<dyn ExporterNode> = Arc::new(FakeExporter(journal.clone(), exporter));
        assembly.exporters.insert(name.to_owned(), node);
        assembly.pipelines.push(Pipeline {
            id: format!("metrics/{name}"),
            receivers: vec!["in".to_owned()],
            processors: vec![("batch/1".to_owned(), fake("first")), ("batch/2".to_owned(), fake("second"))],
            exporters: vec![name.to_owned()],
        });
    }
    assembly
}

#[tokio::test(start_paused = true)]
async fn the_whole_stop_has_one_deadline_however_many_pipelines_hang() {
    let journal = Journal::default();
    let hang = Behaviour::Hangs;
    let service = Service::start(pipelines(&journal, hang, hang, hang), &BuildContext::for_test("")).await.unwrap();
    let started = Instant::now();
    service.stop().await;
    // The extension has ended in time.
    assert!(started.elapsed() <= STOP, "{:?}", started.elapsed());
    let asked: Vec<_> = journal.entries().into_iter().filter(|entry| entry.contains("asked")).collect();
    let all = |what: &str| vec![format!("{what} was asked"); 3];
    assert_eq!(asked, [vec!["receiver was asked".to_owned()], all("first"), all("second")].concat());
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_waits_for_an_answer_gets_it_from_the_exporters_that_stop() {
    let journal = Journal::default();
    let (good, waits) = (Behaviour::Good, Behaviour::Waits);
    let service = Service::start(pipelines(&journal, good, waits, good), &BuildContext::for_test("")).await.unwrap();
    service.stop().await;
    let entries = journal.entries();
    let last = |what: &str| entries.iter().rposition(|entry| entry.starts_with(what)).unwrap();
    let stopped =
        entries.iter().filter(|entry| entry.starts_with("first stopped") || entry.starts_with("second stopped"));
    assert_eq!(stopped.count(), 6, "{entries:?}");
    assert!(last("exporter stopped") < last("first stopped"), "{entries:?}");
}
