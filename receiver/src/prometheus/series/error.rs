//! Why a page was not taken.

use crate::prometheus::text::ParseError;

/// A page that fails the scrape: nothing of it is kept.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ScrapeError {
    /// A malformed line.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// After relabelling.
    #[error("missing metric name (__name__ label)")]
    NoMetricName,
    /// Under the validation scheme.
    #[error("invalid metric name or label names: {name:?}; metric_name_validation_scheme decides which are valid")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// Twice the same label in one series.
    #[error("invalid sample: non-unique label names in {series}")]
    DuplicateLabels {
        /// As written in the page.
        series: String,
    },
    /// `sample_limit`.
    #[error("sample limit exceeded: the page has more than {limit} samples after relabelling (sample_limit)")]
    SampleLimit {
        /// The limit.
        limit: u64,
    },
    /// `label_limit`.
    #[error("label_limit exceeded (metric: {metric}, number of labels: {labels}, limit: {limit})")]
    LabelLimit {
        /// Metric of the series.
        metric: String,
        /// Its number of labels, the name included.
        labels: usize,
        /// The limit.
        limit: u64,
    },
    /// `label_name_length_limit`.
    #[error("label_name_length_limit exceeded (metric: {metric}, label name: {label}, length: {}, limit: {limit})", label.len())]
    LabelNameLength {
        /// Metric of the series.
        metric: String,
        /// The label.
        label: String,
        /// The limit, bytes.
        limit: u64,
    },
    /// `label_value_length_limit`.
    #[error(
        "label_value_length_limit exceeded (metric: {metric}, label name: {label}, length: {bytes}, limit: {limit})"
    )]
    LabelValueLength {
        /// Metric of the series.
        metric: String,
        /// The label.
        label: String,
        /// Length of its value.
        bytes: usize,
        /// The limit, bytes.
        limit: u64,
    },
    /// More series than the agent takes from one page.
    #[error(
        "the target has more than {limit} series; set sample_limit or drop series with metric_relabel_configs at the target"
    )]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// More text of series than the agent keeps for one target.
    #[error(
        "the names and labels of the target's series take more than {limit} bytes; drop series or shorten labels at the target"
    )]
    TooMuchText {
        /// The limit, bytes.
        limit: usize,
    },
    /// More `#` lines than the agent keeps for one target.
    #[error(
        "the TYPE, HELP and UNIT lines of the target are about more than {families} metric families or have more than {bytes} bytes of text; expose fewer metrics or shorter HELP texts at the target"
    )]
    MetadataLimit {
        /// Most families.
        families: usize,
        /// Most bytes of names, help texts and units.
        bytes: usize,
    },
}

impl ScrapeError {
    /// Word for the failure counter.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            ScrapeError::Parse(_) => "parse",
            ScrapeError::NoMetricName | ScrapeError::InvalidName { .. } | ScrapeError::DuplicateLabels { .. } => {
                "invalid_series"
            }
            ScrapeError::SampleLimit { .. } | ScrapeError::TooManySeries { .. } | ScrapeError::TooMuchText { .. } => {
                "sample_limit"
            }
            ScrapeError::MetadataLimit { .. } => "metadata_limit",
            _ => "label_limit",
        }
    }
}
