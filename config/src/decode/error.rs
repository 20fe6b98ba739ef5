//! The error that travels through serde while decoding: a diagnostic in the making and the value to leave out.

use std::fmt;
use std::sync::Arc;

use serde::de;

use super::Skip;
use crate::diagnostic::Diagnostic;
use crate::hint;
use crate::node::Node;
use crate::position::Span;
use crate::secrets::is_secret_path;

/// Why decoding stopped, boxed because serde moves it around a lot.
#[derive(Debug)]
pub(super) struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    cause: Cause,
    message: String,
    /// What was written instead, for the end of the message; not shown for a secret.
    got: Option<String>,
    help: Option<String>,
    place: Option<(Span, Arc<str>)>,
    target: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Wrong,
    /// A key that is not there; the name is its.
    Missing(&'static str),
    /// Null where that keeps the default.
    KeepDefault,
    /// It follows from something that was reported.
    Silent,
}

impl Error {
    pub(super) fn new(message: impl Into<String>) -> Error {
        let message = message.into();
        Error(Box::new(Inner { cause: Cause::Wrong, message, got: None, help: None, place: None, target: None }))
    }

    fn unexpected(got: de::Unexpected<'_>, expected: &dyn de::Expected) -> Error {
        let mut error = Error::new(format!("expected {expected}"));
        error.0.got = Some(got.to_string());
        error.help(Some(format!("write {expected} here")))
    }

    pub(super) fn keep_default() -> Error {
        Error::new("").with(Cause::KeepDefault)
    }

    pub(super) fn silent(self) -> Error {
        self.with(Cause::Silent)
    }

    fn with(mut self, cause: Cause) -> Error {
        self.0.cause = cause;
        self
    }

    pub(super) fn help(mut self, help: Option<String>) -> Error {
        self.0.help = help.or(self.0.help);
        self
    }

    pub(super) fn missing_key(&self) -> Option<&'static str> {
        match self.0.cause {
            Cause::Missing(key) => Some(key),
            _ => None,
        }
    }

    /// Says where, unless something deeper said so already.
    pub(super) fn at(mut self, span: &Span, path: &Arc<str>) -> Error {
        self.0.place.get_or_insert_with(|| (span.clone(), path.clone()));
        self
    }

    pub(super) fn on(self, node: &Node) -> Error {
        self.at(&node.span, &node.path)
    }

    /// Says which value can be left out, unless something deeper can.
    pub(super) fn skipping(mut self, node: &Node) -> Error {
        self.0.target.get_or_insert(super::address(node));
        self.on(node)
    }

    pub(super) fn into_parts(self, root: &Node) -> (Option<Diagnostic>, Option<usize>, Skip) {
        let inner = *self.0;
        let (span, path) = inner.place.unwrap_or_else(|| (root.span.clone(), root.path.clone()));
        let message = match inner.got {
            Some(_) if is_secret_path(&path) => format!("{}, got something else", inner.message),
            Some(got) => format!("{}, got {got}", inner.message),
            None => inner.message,
        };
        let diagnostic = Diagnostic::error(message).at(&span).path(path).maybe_help(inner.help);
        match inner.cause {
            Cause::Wrong | Cause::Missing(_) => (Some(diagnostic), inner.target, Skip::Wrong),
            Cause::Silent => (None, inner.target, Skip::Wrong),
            Cause::KeepDefault => (None, inner.target, Skip::KeepDefault),
        }
    }
}

impl de::Error for Error {
    /// A reason, and after `; write` what to do.
    fn custom<T: fmt::Display>(message: T) -> Error {
        let text = message.to_string();
        match text.split_once("; write ") {
            Some((reason, what)) => Error::new(reason).help(Some(format!("write {what}"))),
            None => Error::new(text),
        }
    }

    fn invalid_type(got: de::Unexpected<'_>, expected: &dyn de::Expected) -> Error {
        Error::unexpected(got, expected)
    }

    fn invalid_value(got: de::Unexpected<'_>, expected: &dyn de::Expected) -> Error {
        Error::unexpected(got, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Error {
        let near = hint::nearest(variant, expected.iter().copied()).map(|near| format!("did you mean {near:?}?"));
        let help = near.unwrap_or_else(|| "write one of the valid values".to_owned());
        Error::new(format!("unknown value {variant:?}, valid values are: {}", expected.join(", "))).help(Some(help))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Error {
        Error::new(format!("unknown key {field:?}")).help(hint::unknown_key(field, expected, |_| true))
    }

    fn missing_field(field: &'static str) -> Error {
        Error::new(format!("the key {field:?} is missing"))
            .with(Cause::Missing(field))
            .help(Some(format!("add {field}: with its value")))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}
