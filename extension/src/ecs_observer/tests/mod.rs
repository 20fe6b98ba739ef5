//! Tests of discovery: the pure core on hand-made worlds, the settings, the text.

mod agent;
mod observer;
mod settings;
mod text;
mod vectors;
mod worlds;
