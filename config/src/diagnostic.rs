//! What is wrong with a configuration, where, and what to do. `render` turns it into text for a terminal.

use std::fmt;
use std::sync::Arc;

use crate::node::Node;
use crate::position::Span;
use crate::secrets::mask_urls;

/// A value when one could be made, and every problem that was found on the way.
///
/// The value may be there next to errors, so that validation can go on and find more; nothing may be started with it
/// while [`has_errors`] says so.
pub type Built<T> = (Option<T>, Vec<Diagnostic>);

/// Whether a problem stops the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but somebody should look at it.
    Warning,
}

/// One problem, for people: lower case, no final period, the thing and the setting named. Secrets in URLs of message and
/// help are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the start.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The setting, as `exporters::awsemf::region`; empty when it is about the whole.
    pub path: Arc<str>,
    /// Where it was written.
    pub span: Option<Span>,
    /// Other places that matter, each with a word on why.
    pub secondary: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<Box<str>>,
}

impl Diagnostic {
    /// A problem that stops the start.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, message.into())
    }

    /// A problem that does not stop the start.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Diagnostic {
        let message = mask_urls(&message);
        Diagnostic { severity, message, path: "".into(), span: None, secondary: Vec::new(), help: None }
    }

    /// Says where it was written; nowhere when nobody wrote it.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Diagnostic {
        self.span = (!span.is_built_in()).then(|| span.clone());
        self
    }

    /// Names the setting: `exporters::awsemf::region`.
    #[must_use]
    pub fn path(mut self, path: impl Into<Arc<str>>) -> Diagnostic {
        self.path = path.into();
        self
    }

    /// Takes position and path from a node.
    #[must_use]
    pub fn on(self, node: &Node) -> Diagnostic {
        self.at(&node.span).path(node.path.clone())
    }

    /// Takes position and path from a node where the diagnostic has none of its own: for problems of a default or of
    /// something that is missing, placed at the component.
    #[must_use]
    pub fn or_on(mut self, node: &Node) -> Diagnostic {
        if self.span.is_none() {
            self = self.at(&node.span);
        }
        if self.path.is_empty() {
            self.path = node.path.clone();
        }
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(mask_urls(&help.into()).into_boxed_str());
        self
    }

    /// Adds what to do, when there is something.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Diagnostic {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Points at another place that matters.
    #[must_use]
    pub fn also(mut self, span: &Span, label: impl Into<String>) -> Diagnostic {
        self.secondary.push((span.clone(), label.into()));
        self
    }

    /// Whether it stops the start.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The one-line form for logs: `file:line:col: path: message (help)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            write!(f, "{span}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// Whether any of them stops the start.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}
