//! Counts of points that are left out, by reason, and the log lines about them, at most one a minute for each reason.

use std::borrow::Cow;

/// Why a point is not in any event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its flag says that the series has ended.
    NoRecordedValue,
    /// A number of it is NaN or infinite, or becomes so.
    NotFinite,
    /// The first of a cumulative series: there is no difference yet.
    FirstValue,
    /// Older than the one before it in its cumulative series.
    OutOfOrder,
    /// Another point of the batch has the same name, labels and time.
    Duplicate,
    /// Selected by no declaration, with `drop_unmatched`.
    Unmatched,
    /// Its event would be longer than CloudWatch Logs takes.
    TooLarge,
    /// The events of its batch before it are as long as a batch may become.
    BatchTooLarge,
    /// Of a Prometheus type that `layout: cloudwatch_agent` does not have.
    UnsupportedType,
    /// `up` and `scrape_*`, with `layout: cloudwatch_agent`.
    AboutScrapes,
}

const REASONS: [Reason; 10] = [
    Reason::NoRecordedValue,
    Reason::NotFinite,
    Reason::FirstValue,
    Reason::OutOfOrder,
    Reason::Duplicate,
    Reason::Unmatched,
    Reason::TooLarge,
    Reason::BatchTooLarge,
    Reason::UnsupportedType,
    Reason::AboutScrapes,
];

impl Reason {
    /// The label of the counter.
    fn name(self) -> &'static str {
        match self {
            Reason::NoRecordedValue => "no_recorded_value",
            Reason::NotFinite => "not_finite",
            Reason::FirstValue => "first_value",
            Reason::OutOfOrder => "out_of_order",
            Reason::Duplicate => "duplicate",
            Reason::Unmatched => "unmatched",
            Reason::TooLarge => "too_large",
            Reason::BatchTooLarge => "batch_too_large",
            Reason::UnsupportedType => "unsupported_type",
            Reason::AboutScrapes => "about_scrapes",
        }
    }
}

/// The points of one batch that are left out.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    own: [u64; REASONS.len()],
    /// By reasons of the sink.
    sink: Vec<(&'static str, u64)>,
}

impl Drops {
    pub(crate) fn clear(&mut self) {
        self.own = Default::default();
        self.sink.clear();
    }

    pub(crate) fn add(&mut self, reason: Reason, points: u32) {
        self.own[reason as usize] += u64::from(points);
    }

    /// Points left out for this reason.
    pub(crate) fn of(&self, reason: Reason) -> u64 {
        self.own[reason as usize]
    }

    /// Counts a point that was left out.
    pub(crate) fn add_result(&mut self, result: Result<(), Reason>) {
        if let Err(reason) = result {
            self.add(reason, 1);
        }
    }

    pub(crate) fn add_refused(&mut self, reason: &'static str, points: u32) {
        match self.sink.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += u64::from(points),
            None => self.sink.push((reason, u64::from(points))),
        }
    }

    /// The counts that are not 0.
    pub(crate) fn counts(&self) -> Vec<(Cow<'static, str>, u64)> {
        let own = REASONS.iter().map(|reason| (reason.name(), self.own[*reason as usize]));
        let all = own.chain(self.sink.iter().copied());
        all.filter(|(_, count)| *count > 0).map(|(name, count)| (name.into(), count)).collect()
    }
}

/// Lets one of each kind of message through per minute.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    until_s: [u32; Notice::COUNT],
}

/// Kinds of messages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notice {
    /// Two points want the same field of an event.
    Duplicate,
    /// A document is too long.
    TooLarge,
    /// The documents of a batch are too long together.
    BatchTooLarge,
    /// A dimension set has too many names.
    TooManyDimensions,
    /// A cache is over its limit.
    CacheFull,
    /// Metrics of a type that the layout does not have.
    UnsupportedType,
}

impl Notice {
    const COUNT: usize = 6;
}

impl Quiet {
    /// Whether to log now.
    pub(crate) fn may_say(&mut self, notice: Notice, now_s: u32) -> bool {
        let until = &mut self.until_s[notice as usize];
        let may = now_s >= *until;
        if may {
            *until = now_s + 60;
        }
        may
    }
}
