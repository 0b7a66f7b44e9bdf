//! A power cut loses nothing that was acknowledged: a disk as it is when the machine stops, opened again.
//!
//! The store is on a file system in a file. The deck is stopped at a random moment amid its work, and once what it had
//! asked of the disk has reached it, the file is copied: what the deck wrote and did not sync is not in the copy. The
//! copy is mounted, so that its journal is replayed, and the store in it is opened and read.
//!
//! `GRAPHDECK_ROUNDS=100 cargo test --test it power -- --nocapture` cuts the power a hundred times.

#![cfg(target_os = "linux")]

use crate::support::deck::{Project, Signal};
use crate::support::disks::{Mounted, run};
use crate::support::load::{Load, assert_kept, echo, moment};
use crate::support::{left_out, rounds};
use graphdeck::store::journal::Journal;
use graphdeck::store::takes::Takes;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The size of the disk, of which only what is written takes room.
const DISK: u64 = 1 << 30;
/// How long the disk has for what was asked of it before the machine stopped.
const SETTLED: Duration = Duration::from_millis(400);
/// How long clients record before the power is cut, at most.
const LONGEST: Duration = Duration::from_millis(1700);
/// After so many cuts of its power a store is made anew: the first cut meets one in its first session.
const CUTS: usize = 4;
const SIZES: std::ops::Range<usize> = 200..1 << 20;

/// A file system in a file, mounted until it is dropped.
struct Disk {
    image: PathBuf,
    mounted: Mounted,
}

impl Disk {
    fn mounted(image: PathBuf, at: PathBuf) -> Result<Self, String> {
        let mounted = Mounted::new(&["-o", "loop", image.to_str().unwrap()], at)?;
        Ok(Self { image, mounted })
    }

    /// A new one, in a file of its own: the one before may still be mounted, while a store that was just closed has a file
    /// open on it, and another one in the same file would be mounted as that.
    fn empty(dir: &Path, number: usize) -> Result<Self, String> {
        let image = dir.join(format!("disk-{number}"));
        File::create_new(&image).unwrap().set_len(DISK).unwrap();
        run("mkfs.ext4", &["-q", image.to_str().unwrap()])?;
        let disk = Self::mounted(image, dir.join(format!("mounted-{number}")))?;
        let found: Vec<_> = fs::read_dir(disk.mounted.at()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(found, ["lost+found"], "a new disk");
        Ok(disk)
    }

    /// What is on the disk when the power goes; the rest is lost with the machine.
    fn copied(&self) -> PathBuf {
        let copy = self.image.with_extension("copy");
        run("cp", &["--sparse=always", self.image.to_str().unwrap(), copy.to_str().unwrap()]).unwrap();
        copy
    }

    /// The disk as it was when it was copied.
    fn restarted(self, copy: &Path) -> Self {
        let (image, at) = (self.image.clone(), self.mounted.at().to_owned());
        drop(self);
        fs::rename(copy, &image).unwrap();
        Self::mounted(image, at).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_cut() {
    let (project, graph) = (Project::new(), echo().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let mut disk = match Disk::empty(project.path(), 0) {
        Ok(disk) => disk,
        Err(why) => return left_out(&format!("no disk can be mounted here ({why})")),
    };
    let (rounds, begun, mut acknowledged) = (rounds(2), Instant::now(), 0);
    for round in 0..rounds {
        if round > 0 && round % CUTS == 0 {
            let before = disk.image.clone();
            drop(disk);
            fs::remove_file(before).unwrap();
            disk = Disk::empty(project.path(), round).unwrap();
        }
        let store = disk.mounted.at().join("store");
        let deck = project.record("cut", &graph, &["--store", store.to_str().unwrap()]);
        let load = Load::start(&deck, &ca_pem, round, &SIZES);
        load.wait_for(1).await;
        // The moment is the chance that this test is about.
        tokio::time::sleep(moment(LONGEST, ("cut", round))).await;
        deck.signal(Signal::STOP);
        tokio::time::sleep(SETTLED).await;
        let copy = disk.copied();
        let ended = deck.killed();
        assert!(!ended.contains("not recorded"), "{ended}");
        let told = load.end().await;
        disk = disk.restarted(&copy);

        let journal = Journal::open(&store).unwrap_or_else(|fault| panic!("round {round}: {fault}"));
        let takes = journal.takes().unwrap();
        let last = takes.last().unwrap_or_else(|| panic!("round {round}: no take, and {} acknowledged", told.len()));
        assert_kept(&journal.read(last.id).unwrap(), &told);
        // Only the last one is looked into: without the others the disk lasts.
        takes.iter().rev().skip(1).for_each(|take| journal.remove(take.id).unwrap());
        acknowledged += told.len();
    }
    let took = begun.elapsed().as_secs();
    eprintln!("{rounds} power cuts in {took} s: {acknowledged} exchanges acknowledged, none lost, no panic");
}
