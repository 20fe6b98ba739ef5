//! The in-memory metric model: one batch of points with the tables they refer to.
//!
//! Every component takes and gives this form. Encoding and decoding live in [`crate::otlp`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use crate::points::{Exemplar, ExponentialPoint, HistogramPoint, NumberPoint, Quantile, SummaryPoint};
use crate::symbols::SymbolId;
use crate::tables::Tables;

/// A batch of metric points. It owns (or shares by `Arc`) all its strings; nothing points outside.
#[derive(Clone, Default)]
pub struct Batch {
    /// Strings, attributes, resources, scopes, metrics. Use [`Batch::tables_mut`] to edit.
    pub tables: Arc<Tables>,
    /// Gauge and sum points; points of one metric are adjacent.
    pub numbers: Vec<NumberPoint>,
    /// Histogram points.
    pub histograms: Vec<HistogramPoint>,
    /// Exponential histogram points.
    pub exponentials: Vec<ExponentialPoint>,
    /// Summary points.
    pub summaries: Vec<SummaryPoint>,
    /// Exemplars of all points.
    pub exemplars: Vec<Exemplar>,
    /// Explicit bounds of histograms.
    pub bounds: Vec<f64>,
    /// Bucket counts of histograms and exponential histograms.
    pub counts: Vec<u64>,
    /// Quantiles of summaries.
    pub quantiles: Vec<Quantile>,
    /// Where the batch comes from.
    pub meta: Meta,
}

/// Request headers: lower-case name and its values.
pub type ClientHeaders = Vec<(String, Vec<String>)>;

/// Who sent a request, as the Collector tells the address: of gRPC with the port, of HTTP without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `10.0.0.1`.
    Host(IpAddr),
    /// `10.0.0.1:40312`.
    Socket(SocketAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An IPv4 address of a listener for both families is shown as one.
            Peer::Host(ip) => ip.to_canonical().fmt(f),
            Peer::Socket(address) => SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f),
        }
    }
}

/// What is known of a batch beside its points.
#[derive(Clone, Default)]
pub struct Meta {
    /// The OTLP request this batch was decoded from, kept only while no processor edited the batch; an OTLP
    /// exporter forwards these bytes. [`Batch::tables_mut`] and [`Batch::edited`] clear it.
    pub raw: Option<Bytes>,
    /// True when `tables` is shared between batches and may list metrics without points here: an OTLP encoder
    /// then leaves those out. False for decoded requests, whose empty metrics are kept.
    pub shared_tables: bool,
    /// Request headers kept by `include_metadata`, lower-case names.
    pub client: Option<Arc<ClientHeaders>>,
    /// Who sent the request; unknown for what was scraped or joined from several.
    pub peer: Option<Peer>,
    /// The user that `basicauth` let in.
    pub username: Option<Arc<str>>,
    /// What the `metric_declaration` processor selected.
    pub selection: Option<Arc<Selection>>,
    /// Receive time, Unix milliseconds.
    pub received_ms: u64,
}

/// The marks of the `metric_declaration` processor: for each point (by column and index) an index into `sets`.
/// Index 0 means "selected by no declaration", [`Selection::NOT_EVALUATED`] that no declaration was asked. Valid only
/// for the batch it was made for: who drops or reorders points has to do the same to the marks, or to drop them.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Dimension sets (names) of each distinct selection result; entry 0 is empty.
    pub sets: Vec<Vec<Vec<SymbolId>>>,
    /// For `Batch::numbers`.
    pub numbers: Vec<u32>,
    /// For `Batch::histograms`.
    pub histograms: Vec<u32>,
    /// For `Batch::exponentials`.
    pub exponentials: Vec<u32>,
    /// For `Batch::summaries`.
    pub summaries: Vec<u32>,
}

impl Selection {
    /// The mark of a point that came from a batch without marks: treated as if no declarations existed.
    pub const NOT_EVALUATED: u32 = u32::MAX;

    fn size_bytes(&self) -> usize {
        let marks = self.numbers.capacity()
            + self.histograms.capacity()
            + self.exponentials.capacity()
            + self.summaries.capacity();
        let names: usize = self.sets.iter().flatten().map(|set| size_of::<Vec<SymbolId>>() + set.capacity() * 4).sum();
        marks * 4 + names
    }
}

impl Batch {
    /// Number of data points of all kinds.
    pub fn points(&self) -> usize {
        self.numbers.len() + self.histograms.len() + self.exponentials.len() + self.summaries.len()
    }

    /// True without any point.
    pub fn is_empty(&self) -> bool {
        self.points() == 0
    }

    /// The tables for editing: copied first if another batch shares them. Clears the raw request.
    pub fn tables_mut(&mut self) -> &mut Tables {
        self.meta.raw = None;
        Arc::make_mut(&mut self.tables)
    }

    /// To be called by whoever edits the point columns directly: the raw request and the marks no longer stand for the
    /// batch.
    pub fn edited(&mut self) {
        self.meta.raw = None;
        self.meta.selection = None;
    }

    /// Approximate bytes held by this batch, shared tables included.
    pub fn size_bytes(&self) -> usize {
        self.tables.size_bytes()
            + self.numbers.capacity() * size_of::<NumberPoint>()
            + self.histograms.capacity() * size_of::<HistogramPoint>()
            + self.exponentials.capacity() * size_of::<ExponentialPoint>()
            + self.summaries.capacity() * size_of::<SummaryPoint>()
            + self.exemplars.capacity() * size_of::<Exemplar>()
            + (self.bounds.capacity() + self.counts.capacity() + 2 * self.quantiles.capacity()) * 8
            + self.meta.raw.as_ref().map_or(0, Bytes::len)
            + self.meta.selection.as_ref().map_or(0, |marks| marks.size_bytes())
    }
}
