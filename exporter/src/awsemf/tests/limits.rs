//! Limits of events.
