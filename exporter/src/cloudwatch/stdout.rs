//! `output_destination: stdout`: documents on standard output, one a line. Knows nothing of AWS.

use std::io::Write;

use super::request::Lines;
use crate::Outcome;

/// Writes on the blocking pool: a reader of the pipe may be slow. Requests share a lane, so lines keep their order.
pub(super) async fn send(lines: &Lines) -> Outcome {
    let text = lines.text.clone();
    let written = tokio::task::spawn_blocking(move || {
        let mut out = std::io::stdout().lock();
        out.write_all(&text).and_then(|()| out.flush())
    });
    let error = match written.await {
        Ok(Ok(())) => return Outcome::Delivered { rejected: Vec::new() },
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Outcome::Permanent {
        reason: "stdout".into(),
        code: None,
        error: format!("cannot write to standard output: {error}"),
    }
}
