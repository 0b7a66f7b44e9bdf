//! Progress of long work, shown on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work on fewer exchanges than this is done before a bar could be read.
const LONG: usize = 5_000;

/// A bar that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar for work on so many exchanges; in a pipe, with `--quiet` and for short work there is none to be seen.
    pub(super) fn of(doing: &str, exchanges: usize) -> Self {
        let shown = exchanges >= LONG && !super::is_quiet();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} exchanges, {eta} to go");
        let style = style.expect("the template is tested").progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(exchanges as u64), target).with_style(style);
        Self(bar.with_message(doing.to_owned()))
    }

    /// A bar for work on a large file.
    pub(super) fn of_bytes(doing: &str, bytes: u64) -> Self {
        let target = if super::is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent} %, {eta} to go");
        let style = style.expect("the template is tested").progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(bytes), target).with_style(style);
        Self(bar.with_message(doing.to_owned()))
    }

    /// So many bytes are done.
    pub(super) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// One more is done.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
