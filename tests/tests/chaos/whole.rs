// SPDX-License-Identifier: Apache-2.0
//! Every frame is whole, from the moment at which a client gets it to the moment at which it
//! gives it back, however long that takes, in every mode, on a machine that is busy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use system_tests::inspector::{Account, Manner, Orders};
use system_tests::{Inspector, Rig};

use crate::stage::{alone, scale};

/// One of each way to lay out a picture that all clients can read.
const FORMATS: [&str; 4] = ["NV12", "I420", "YUYV", "RGB3"];

/// Who reads, and for how long at most they hold a frame, in ms.
const READERS: [(Manner, u64); 8] = [
    (Manner::Leased, 0),
    (Manner::Leased, 20),
    (Manner::Leased, 500),
    (Manner::Notify, 500),
    (Manner::Locking, 0),
    (Manner::Locking, 500),
    (Manner::Vsl, 0),
    (Manner::Vsl, 500),
];

/// The most that the configuration allows.
const FRAMES: u16 = 16;

/// Frames per second of each stream: faster than any camera, so that buffers come round often.
const RATE: u32 = 300;

#[test]
fn no_frame_is_torn() {
    let _alone = alone();
    let wanted: u64 = scale(10_000, 1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let vsl = |format: &str| -> PathBuf { dir.path().join(format).with_extension("vsl") };
    let streams = FORMATS.map(|format| {
        format!(
            "[stream.{format}]\npattern = \"bars\"\nformat = \"{format}\"\nsize = \"64x48\"\nrate = {RATE}\nbuffers = 32\n\
             spares = 32\ncredits-max = {FRAMES}\nalways-on = true\nvsl = \"{}\"\n",
            vsl(format).display()
        )
    });
    let rig = Rig::start(&streams.concat());
    let load = Load::begin();
    let mut inspectors = Vec::new();
    for format in FORMATS {
        for (manner, hold_ms) in READERS {
            let socket = if manner == Manner::Vsl { vsl(format) } else { rig.socket(format) };
            let orders = Orders { socket, manner, hold: Duration::from_millis(hold_ms), frames: FRAMES };
            inspectors.push((manner, Inspector::start(&orders)));
        }
    }
    let seen = || -> u64 {
        inspectors.iter().map(|(_, inspector)| inspector.account()).map(|seen| seen.whole + seen.torn).sum()
    };
    while seen() < wanted {
        inspectors[0].1.passes(u64::from(RATE));
    }
    drop(load);
    let mut accounts: BTreeMap<Manner, Account> = BTreeMap::new();
    for (manner, inspector) in inspectors {
        let account = accounts.entry(manner).or_default();
        *account = account.clone().and(&inspector.end());
    }
    let mut torn = 0;
    for (manner, Account { whole, late, torn: torn_here, missed, words, .. }) in &accounts {
        println!("{manner:?}: {whole} whole, {late} late, {torn_here} torn, {missed} not delivered; {words:?}");
        assert!(*whole > 0 && words.is_empty());
        torn += torn_here;
    }
    assert_eq!(torn, 0);
}

/// As many threads as there are processors, with nothing to do and no pause. Dropping it ends
/// them.
struct Load(Arc<AtomicBool>);

impl Load {
    fn begin() -> Self {
        let load = Self(Arc::new(AtomicBool::new(true)));
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            let goes_on = Arc::clone(&load.0);
            std::thread::spawn(move || {
                while goes_on.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        load
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
