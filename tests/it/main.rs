//! The deck from outside: real sockets, real TLS, a real store, real child processes; only Graph is stood in for.

mod support;

mod architecture;
mod authority;
mod bad_input;
mod cassettes;
mod child;
mod clients;
mod crash;
mod documented;
mod fronts;
mod passing;
mod redaction;
mod shutdown;
mod upstream;
