//! Tests of discovery: the pure core on hand-made worlds, the settings, and the whole loop against a scripted AWS.

mod agent;
mod live;
mod observer;
mod settings;
mod text;
mod worlds;
