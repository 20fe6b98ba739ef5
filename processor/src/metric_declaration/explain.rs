//! Why a metric is published under the dimension sets it is, or not at all: one verdict per declaration.

use std::fmt;

use config::Span;

use super::{Declarations, DimensionSet};

/// What every declaration says about one metric with one set of labels.
#[derive(Debug)]
pub struct Explanation {
    /// Name of the metric.
    pub metric: String,
    /// One per declaration, in configuration order.
    pub verdicts: Vec<(Span, DeclarationVerdict)>,
}

/// What one declaration says.
#[derive(Debug, PartialEq, Eq)]
pub enum DeclarationVerdict {
    /// None of its selectors matches the name.
    NameNotMatched,
    /// The name matches, but none of its label matchers; the joined values that each looked at.
    LabelsNotMatched(Vec<String>),
    /// It selects the metric.
    Selected {
        /// The sets whose names are all labels.
        published: Vec<DimensionSet>,
        /// The others, each with the first label that is missing.
        missing: Vec<(DimensionSet, Box<str>)>,
    },
}

impl Explanation {
    /// Whether some declaration selects the metric.
    pub fn is_selected(&self) -> bool {
        self.verdicts.iter().any(|(_, verdict)| matches!(verdict, DeclarationVerdict::Selected { .. }))
    }
}

impl Declarations {
    /// Explains a metric. Labels as [`Declarations::accepting`] takes them.
    pub fn explain<'a>(&self, metric: &str, label: impl Fn(&str) -> Option<&'a str> + Copy) -> Explanation {
        let by_name = self.selectors.matching(metric, &mut None);
        let by_labels = self.accepting(label);
        let verdict = |index: usize| {
            let declaration = &self.list[index];
            if !by_name.iter().any(|i| i == index) {
                return DeclarationVerdict::NameNotMatched;
            }
            if !by_labels.iter().any(|i| i == index) {
                return DeclarationVerdict::LabelsNotMatched(
                    declaration.matchers.iter().map(|matcher| matcher.joined(label)).collect(),
                );
            }
            let (mut published, mut missing) = (Vec::new(), Vec::new());
            for set in &declaration.dimensions {
                match set.iter().find(|name| label(name).is_none()) {
                    None => published.push(set.clone()),
                    Some(name) => missing.push((set.clone(), name.clone())),
                }
            }
            DeclarationVerdict::Selected { published, missing }
        };
        let verdicts = (0..self.list.len()).map(|i| (self.list[i].span.clone(), verdict(i))).collect();
        Explanation { metric: metric.to_owned(), verdicts }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.is_selected() { "is selected" } else { "is selected by no declaration" };
        write!(f, "{} {outcome}", self.metric)?;
        for (span, verdict) in &self.verdicts {
            write!(f, "\n  {span}: {verdict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DeclarationVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeclarationVerdict::NameNotMatched => f.write_str("no metric name selector matches"),
            DeclarationVerdict::LabelsNotMatched(joined) => {
                write!(f, "the name matches, but no label matcher accepts {}", quoted(joined))
            }
            DeclarationVerdict::Selected { published, missing } => {
                f.write_str("selected")?;
                for set in published {
                    write!(f, ", published under {}", quoted(set))?;
                }
                for (set, name) in missing {
                    write!(f, ", not under {}: there is no label {name:?}", quoted(set))?;
                }
                if published.is_empty() {
                    f.write_str(", but under no dimension set of its own")?;
                }
                Ok(())
            }
        }
    }
}

fn quoted<T: fmt::Debug>(names: &[T]) -> String {
    format!("{names:?}")
}
