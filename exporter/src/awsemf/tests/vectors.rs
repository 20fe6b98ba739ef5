//! Single vectors.
