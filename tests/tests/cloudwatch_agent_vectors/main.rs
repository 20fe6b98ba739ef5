//! The 90 test vectors of the CloudWatch agent's Prometheus monitoring, each under its number: what the agent's own
//! tests, its golden files and integration suite, its code and the AWS guide show. Where ours is meant to be other than
//! the agent, the row says so in the words of `docs/from-cloudwatch-agent.md`.
#![allow(clippy::unwrap_used)]

mod cluster;
mod configuration;
mod discovery;
mod emf;
mod events;
mod publishing;
mod scraped;
mod support;
mod worlds;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many there are.
const VECTORS: u32 = 90;
const DOCUMENT: &str = include_str!("../../../docs/from-cloudwatch-agent.md");

/// A row: one vector and how it is checked. `C` is what the check needs.
pub(crate) struct Vector<C> {
    number: u32,
    title: &'static str,
    /// Words of the document's list of differences.
    differs: Option<&'static str>,
    check: C,
}

/// A vector that needs nothing but itself.
pub(crate) fn vector(number: u32, title: &'static str, check: fn()) -> Vector<fn()> {
    Vector::new(number, title, check)
}

impl<C> Vector<C> {
    /// A vector that ours fulfils as it is.
    pub(crate) fn new(number: u32, title: &'static str, check: C) -> Self {
        Vector { number, title, differs: None, check }
    }

    /// Ours differs on purpose, and the check is of what ours does.
    pub(crate) fn differs(self, words: &'static str) -> Self {
        Vector { differs: Some(words), ..self }
    }

    fn without_check(self) -> Vector<()> {
        Vector { number: self.number, title: self.title, differs: self.differs, check: () }
    }
}

/// Checks all rows and names every one that fails; what failed is above, as for any test.
pub(crate) fn check_all<C>(vectors: Vec<Vector<C>>, check: impl Fn(&C)) {
    let failed: Vec<String> = vectors
        .iter()
        .filter(|vector| catch_unwind(AssertUnwindSafe(|| check(&vector.check))).is_err())
        .map(|vector| format!("{}: {}", vector.number, vector.title))
        .collect();
    assert!(failed.is_empty(), "these vectors fail: {failed:#?}");
}

fn all() -> Vec<Vector<()>> {
    let simple = [configuration::vectors(), discovery::vectors(), events::vectors(), publishing::vectors()];
    let simple = simple.into_iter().flatten().map(Vector::without_check);
    let scraped = scraped::vectors().into_iter().map(Vector::without_check);
    simple.chain(scraped).chain(cluster::vectors().into_iter().map(Vector::without_check)).collect()
}

#[test]
fn every_vector_is_there_once() {
    let mut rows = all();
    rows.sort_by_key(|row| row.number);
    let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=VECTORS).collect::<Vec<_>>());
}

#[test]
fn every_difference_is_in_the_document() {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let document = plain(DOCUMENT.split_once("## What differs on purpose").unwrap().1.split_once("\n## ").unwrap().0);
    for row in all() {
        let Some(words) = row.differs else { continue };
        assert!(
            document.contains(&plain(words)),
            "vector {} ({}): {words:?} is not in the list",
            row.number,
            row.title
        );
    }
}

#[test]
fn configuration_vectors() {
    check_all(configuration::vectors(), |check| check());
}

#[test]
fn discovery_vectors() {
    check_all(discovery::vectors(), |check| check());
}

#[test]
fn event_vectors() {
    check_all(events::vectors(), |check| check());
}

#[test]
fn publishing_vectors() {
    check_all(publishing::vectors(), |check| check());
}

#[tokio::test(flavor = "multi_thread")]
async fn scraped_vectors() {
    let run = scraped::run().await;
    check_all(scraped::vectors(), |check| check(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_vectors() {
    let run = cluster::run().await;
    check_all(cluster::vectors(), |check| check(&run));
}
