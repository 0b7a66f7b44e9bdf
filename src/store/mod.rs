//! Floor 2, what survives on disk: the journal of recordings under way, and the cassette files.

pub mod cassettes;
pub mod journal;
pub mod takes;
