//! Floor 2, what survives on disk: the journal of recordings under way, and the cassette files.

pub mod cassettes;
mod counts;
pub mod journal;
mod rows;
pub mod takes;
