//! How long the columns of a decoded request are, so that those of the next one like it are made as long at once:
//! clients send the same series again and again. Growing step by step copies, and holds up to three times as much.

use crate::batch::Batch;

/// Lengths of the columns of a batch and the length of its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capacities {
    body_bytes: usize,
    columns: [usize; 8],
}

impl Capacities {
    /// Those of a batch that was decoded from a body of this length.
    pub fn of(batch: &Batch, body_bytes: usize) -> Capacities {
        Capacities { body_bytes, columns: column_lengths(batch) }
    }

    /// Makes room in an empty batch for a body that is as long, give or take an eighth.
    pub(super) fn reserve(&self, batch: &mut Batch, body_bytes: usize) {
        if body_bytes.abs_diff(self.body_bytes) > self.body_bytes / 8 {
            return;
        }
        let [numbers, histograms, exponentials, summaries, exemplars, bounds, counts, quantiles] = self.columns;
        batch.numbers.reserve_exact(numbers);
        batch.histograms.reserve_exact(histograms);
        batch.exponentials.reserve_exact(exponentials);
        batch.summaries.reserve_exact(summaries);
        batch.exemplars.reserve_exact(exemplars);
        batch.bounds.reserve_exact(bounds);
        batch.counts.reserve_exact(counts);
        batch.quantiles.reserve_exact(quantiles);
    }
}

/// Lengths of all columns: points by kind, then what points refer to.
pub(super) fn column_lengths(batch: &Batch) -> [usize; 8] {
    [
        batch.numbers.len(),
        batch.histograms.len(),
        batch.exponentials.len(),
        batch.summaries.len(),
        batch.exemplars.len(),
        batch.bounds.len(),
        batch.counts.len(),
        batch.quantiles.len(),
    ]
}
