//! The hot paths by name.

use super::payload::Kind;
use super::push::{Over, Push, To};
use super::scrape::Scrape;

/// All of them.
pub(crate) const NAMES: [&str; 8] = [
    "scrape_to_batch",
    "scrape_to_emf",
    "otlp_mixed_to_emf",
    "otlp_grpc_mixed_to_emf",
    "otlp_gauge_to_emf",
    "otlp_sum_to_emf",
    "otlp_histogram_to_emf",
    "otlp_mixed_to_otlp",
];

/// A path that is ready to run.
pub(crate) enum Path {
    /// A page of a target.
    Scrape(Box<Scrape>),
    /// A pushed request.
    Push(Box<Push>),
}

impl Path {
    pub(crate) fn new(name: &str) -> Path {
        let scrape = |encodes| Path::Scrape(Box::new(Scrape::new(encodes)));
        let push = |kind, to| Path::Push(Box::new(Push::new(kind, Over::Http, to)));
        match name {
            "scrape_to_batch" => scrape(false),
            "scrape_to_emf" => scrape(true),
            "otlp_mixed_to_emf" => push(Kind::Mixed, To::Emf),
            "otlp_grpc_mixed_to_emf" => Path::Push(Box::new(Push::new(Kind::Mixed, Over::Grpc, To::Emf))),
            "otlp_gauge_to_emf" => push(Kind::Gauge, To::Emf),
            "otlp_sum_to_emf" => push(Kind::Sum, To::Emf),
            "otlp_histogram_to_emf" => push(Kind::Histogram, To::Emf),
            "otlp_mixed_to_otlp" => push(Kind::Mixed, To::Otlp),
            other => panic!("no path {other}"),
        }
    }

    /// Runs it once; all its points have to come out at the end.
    pub(crate) fn round(&mut self) {
        match self {
            Path::Scrape(scrape) => scrape.round(),
            Path::Push(push) => push.round(),
        }
    }

    /// Points (samples) of a round.
    pub(crate) fn points(&self) -> usize {
        match self {
            Path::Scrape(scrape) => scrape.samples(),
            Path::Push(push) => push.points(),
        }
    }
}
