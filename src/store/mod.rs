//! Floor 2, what survives on disk: the journal of recordings under way, and the cassette files.

mod backlog;
pub mod cassettes;
mod committer;
mod counts;
pub mod engine;
mod filler;
mod format;
mod frames;
pub mod indexes;
pub mod journal;
mod log;
mod orders;
pub mod people_key;
mod rows;
pub mod takes;
