// SPDX-License-Identifier: Apache-2.0
//! A daemon with both sockets, honest clients at them, and the programs of those that are not.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use system_tests::daemon::Footprint;
use system_tests::inspector::{Account, Manner, Orders};
use system_tests::mischief::Sockets;
use system_tests::{Inspector, Process, Rig, eventually};

/// Asks for the long form; `make soak` sets it.
pub const SOAK: &str = "VIDEOSTREAM_SOAK";

/// `long` in the long form.
pub fn scale<T>(short: T, long: T) -> T {
    if std::env::var_os(SOAK).is_some() { long } else { short }
}

/// The tests of this program load the machine, so one runs at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The honest are to notice nothing of the others, but on a busy machine they notice the
/// scheduler: with these numbers one may be kept waiting for half a second, and still what it,
/// all hoarders and the lifespans take together fits.
const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"64x48\"
rate = 10
buffers = 32
spares = 32
credits-max = 6
lease-max = \"2s\"
lifespan = \"1s\"
always-on = true
";

/// Frames that an honest client may have in hand.
const FRAMES: u16 = 6;

/// An honest client gives a frame back before the next one comes, most of the time.
const HOLD: Duration = Duration::from_millis(60);

/// A daemon with one stream, and how it was before anybody came.
pub struct Stage {
    pub rig: Rig,
    pub sockets: Sockets,
    before: Footprint,
    _dir: tempfile::TempDir,
}

impl Stage {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vsl = dir.path().join("a.vsl");
        let rig = Rig::start(&format!("{CONFIG}vsl = \"{}\"\n", vsl.display()));
        let sockets = Sockets { native: rig.socket("a"), vsl };
        // What the daemon takes for good it takes with the first question and the first client.
        let _ = (rig.metrics(), rig.objects());
        for manner in [Manner::Leased, Manner::Vsl] {
            let _ = inspector(&sockets, manner).end();
        }
        let before = rest(&rig);
        Self { rig, sockets, before, _dir: dir }
    }

    /// Sixteen honest clients, of every kind.
    pub fn inspectors(&self) -> Vec<Inspector> {
        let manners = [Manner::Leased, Manner::Notify, Manner::Locking, Manner::Vsl];
        (0..16).map(|number| inspector(&self.sockets, manners[number % manners.len()])).collect()
    }

    /// One of the programs that mean no good.
    pub fn start(&self, program: &str, first: &[&str], last: &[&str]) -> Process {
        let Sockets { native, vsl } = &self.sockets;
        let mut command = Command::new(system_tests::binaries::path(program));
        Process::start(program, command.args(first).arg(native).arg(vsl).args(last))
    }

    /// The honest have lost nothing, and the daemon is as it was before anybody came.
    pub fn nothing_is_lost_or_left(self, inspectors: Vec<Inspector>) -> Account {
        inspectors.iter().for_each(|inspector| inspector.passes(5));
        let accounts = inspectors.into_iter().map(Inspector::end);
        let sum = accounts.fold(Account::default(), |sum, account| sum.and(&account));
        assert!(sum.missed == 0 && sum.torn == 0 && sum.words.is_empty(), "the honest have lost frames: {sum:#?}");
        // Fewer is no loss: the runtime ends a helper thread that had nothing to do for a while.
        let after = rest(&self.rig);
        let Footprint { files, threads, maps } = self.before;
        let back = after.files <= files && after.threads <= threads && after.maps <= maps;
        assert!(back, "{after:?}, and before {:?}: {:#?}", self.before, self.rig.daemon().open_files());
        sum
    }
}

fn inspector(sockets: &Sockets, manner: Manner) -> Inspector {
    let socket = if manner == Manner::Vsl { &sockets.vsl } else { &sockets.native };
    Inspector::start(&Orders { socket: socket.clone(), manner, hold: HOLD, frames: FRAMES })
}

/// What the daemon has when nobody has anything of it any more: no client, no lease, and of
/// its buffers only those that it began with, for it gives the others back after some time.
fn rest(rig: &Rig) -> Footprint {
    let at_rest = || {
        let metrics = rig.metrics();
        let zero = |name: &str| metrics.get(name, &[("stream", "a")]) == 0.0;
        let few = rig.daemon().open_files().iter().filter(|file| file.contains("memfd")).count() <= BUFFERS_AT_REST;
        (zero("videostream_stream_clients") && zero("videostream_stream_leases_held") && few)
            .then(|| rig.daemon().footprint())
    };
    eventually("the daemon to come to rest", at_rest)
}

/// Four buffers, each with a descriptor for readers and one for writers.
const BUFFERS_AT_REST: usize = 8;
