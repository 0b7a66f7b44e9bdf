//! Runs the limits and the deck alternately.

use crate::Fault;
use crate::arguments::Arguments;

pub(crate) fn run(_: &Arguments) -> Result<(), Fault> {
    Ok(())
}
