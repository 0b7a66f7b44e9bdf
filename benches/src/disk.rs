//! What the disk itself takes: a row written at the end of a file, flushed and synced.

use crate::Fault;
use crate::arguments::Arguments;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) fn command(arguments: &Arguments) -> Result<(), Fault> {
    let [median, worst] = sync_time(Path::new(arguments.text("dir").ok_or("--dir is missing")?))?;
    println!("write and sync of 4 KiB: median {} µs, p99 {} µs", median.as_micros(), worst.as_micros());
    Ok(())
}

/// The median and the 99th percentile of 300 appended and synced rows of 4 KiB.
pub(crate) fn sync_time(dir: &Path) -> Result<[Duration; 2], Fault> {
    fs::create_dir_all(dir)?;
    let path = dir.join("sync-probe");
    let mut file = File::create(&path)?;
    let row = [7; 4096];
    let mut times = Vec::new();
    for _ in 0..300 {
        let begin = Instant::now();
        file.write_all(&row)?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok([times[150], times[297]])
}
