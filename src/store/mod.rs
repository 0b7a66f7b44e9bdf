//! Floor 2, what survives on disk: the journal of recordings under way, and the cassette files.

pub mod cassettes;
mod committer;
mod counts;
pub mod engine;
mod format;
pub mod indexes;
pub mod journal;
pub mod people_key;
mod rows;
pub mod takes;
