//! The deck from outside: real sockets, real TLS, a real store, real child processes; only Graph is stood in for.

// They send signals and run shell scripts. The unit tests run on Windows too.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(unreachable_pub, reason = "the support rooms are public to the tests, and there is nothing outside")]
#![allow(clippy::too_many_lines, reason = "a scenario reads best in one piece")]

mod support;

mod architecture;
mod authority;
mod auto;
mod bad_input;
mod batches;
mod cassettes;
mod child;
mod clients;
mod clock;
mod conformance;
mod control;
mod crash;
mod damages;
mod diffs;
mod disks;
mod documented;
mod embedded;
mod examples;
mod faults;
mod formats;
mod fronts;
mod fuzzed;
mod ids;
mod kills;
mod large;
mod law;
mod limits;
mod memory;
mod misbehaving;
mod misses;
mod offline;
mod passing;
mod people;
mod planted;
mod planted_elsewhere;
mod power;
mod redaction;
mod reports;
mod scanning;
mod sealed;
mod sessions;
mod settings;
mod shortcuts;
mod shutdown;
mod sign_in;
mod smuggling;
mod stolen_key;
mod throttling;
mod tls;
mod traps;
mod trust;
mod upstream;
mod verify;
