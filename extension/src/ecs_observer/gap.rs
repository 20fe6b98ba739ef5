//! What a round could not read, in words for the log: which part of the cluster, why, and what becomes of its targets.

use std::fmt;

use super::call::{ApiError, Kind, Operation};

/// Definitions that are named in a message; the rest as a number.
const MAX_NAMED: usize = 3;

/// A part of the cluster that a round could not read.
#[derive(Debug)]
pub(crate) struct Gap {
    part: Part,
    error: ApiError,
}

#[derive(Debug)]
enum Part {
    Services,
    Hosts,
    Definitions {
        /// Their ARNs.
        failed: Vec<String>,
        /// Others that were not asked for, because too many failed in a row.
        not_asked: usize,
    },
}

impl Gap {
    pub(crate) fn services(error: ApiError) -> Gap {
        Gap { part: Part::Services, error }
    }

    pub(crate) fn hosts(error: ApiError) -> Gap {
        Gap { part: Part::Hosts, error }
    }

    /// One gap per kind of failure, in the order in which the kinds came up. The last failure is why others were not
    /// asked for.
    pub(crate) fn definitions(failures: Vec<(String, ApiError)>, not_asked: usize) -> Vec<Gap> {
        let last = failures.last().map(|(_, error)| error.kind);
        let mut gaps: Vec<(Vec<String>, ApiError)> = Vec::new();
        for (arn, error) in failures {
            match gaps.iter_mut().find(|(_, known)| known.kind == error.kind) {
                Some((arns, _)) => arns.push(arn),
                None => gaps.push((vec![arn], error)),
            }
        }
        let gap = |(failed, error): (Vec<String>, ApiError)| {
            let not_asked = if last == Some(error.kind) { not_asked } else { 0 };
            Gap { part: Part::Definitions { failed, not_asked }, error }
        };
        gaps.into_iter().map(gap).collect()
    }

    /// What makes it the same trouble as in the round before. Which definitions fail may change from round to round.
    pub(crate) fn key(&self) -> (Operation, Kind, &str) {
        let text = if matches!(self.part, Part::Definitions { .. }) { "" } else { &self.error.text };
        (self.error.operation, self.error.kind, text)
    }
}

impl fmt::Display for Gap {
    /// `cannot read 2 task definitions (a, b): cause`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Services => write!(f, "cannot read the services: {}", self.error),
            Part::Hosts => write!(f, "cannot read the EC2 instances: {}", self.error),
            Part::Definitions { failed, not_asked } => {
                let plural = if failed.len() == 1 { "" } else { "s" };
                let named = failed[..failed.len().min(MAX_NAMED)].join(", ");
                write!(f, "cannot read {} task definition{plural} ({named}", failed.len())?;
                if failed.len() > MAX_NAMED {
                    write!(f, " and {} more", failed.len() - MAX_NAMED)?;
                }
                write!(f, "): {}", self.error)?;
                if *not_asked > 0 {
                    write!(f, "; {not_asked} more are not asked for in this round")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(arn: &str, kind: Kind) -> (String, ApiError) {
        let operation = Operation::DescribeTaskDefinition;
        (arn.to_owned(), ApiError { operation, kind, text: format!("cause of {arn}") })
    }

    #[test]
    fn each_kind_of_failure_is_told_once_with_its_definitions() {
        let failures = vec![
            failure("a", Kind::AccessDenied),
            failure("b", Kind::Unreadable),
            failure("c", Kind::AccessDenied),
            failure("d", Kind::AccessDenied),
            failure("e", Kind::AccessDenied),
        ];
        let gaps = Gap::definitions(failures, 7);
        let texts: Vec<String> = gaps.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "cannot read 4 task definitions (a, c, d and 1 more): access denied for ecs:DescribeTaskDefinition; \
                 add it to the task role (cause of a); 7 more are not asked for in this round",
                "cannot read 1 task definition (b): ecs:DescribeTaskDefinition failed: cause of b",
            ]
        );
    }

    #[test]
    fn the_same_trouble_with_other_definitions_is_nothing_new() {
        let one = Gap::definitions(vec![failure("a", Kind::Throttled)], 3);
        let other = Gap::definitions(vec![failure("b", Kind::Throttled)], 0);
        assert_eq!(one[0].key(), other[0].key());
        let (_, error) = failure("a", Kind::Throttled);
        assert_ne!(Gap::hosts(error).key(), one[0].key());
        assert!(Gap::definitions(Vec::new(), 0).is_empty());
    }
}
