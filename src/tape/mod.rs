//! Floor 1, the product: the pure rules by which traffic becomes tape and tape becomes answers.
//!
//! Nothing here reads a file, a clock, a socket or a source of randomness.

pub mod adapting;
pub mod batch;
pub mod bindings;
pub mod body;
pub mod cassette;
mod choosing;
pub mod differences;
mod echo;
pub mod exchange;
pub mod graph;
pub mod guid;
pub mod id;
pub mod ids;
pub mod index;
mod json_values;
mod leaf;
pub mod learning;
pub mod lexicon;
pub mod matching;
pub mod mint;
pub mod miss;
mod ordering;
pub mod pairing;
pub mod people;
mod person_places;
pub mod place;
pub mod playing;
pub mod redact;
pub mod renaming;
pub mod request_text;
pub mod route;
pub mod schema;
pub mod scribe;
mod secret_rules;
pub mod secrets;
pub mod sign_in;
pub mod speaking;
pub mod spelling;
pub mod stand_ins;
pub mod surroundings;
pub mod template;
pub mod verification;
pub mod volatile;
pub mod walk;
