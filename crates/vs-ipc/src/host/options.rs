// SPDX-License-Identifier: Apache-2.0
//! What a host allows, with the reason for each default.

use std::path::PathBuf;

use vs_frame::clock::NS_PER_MS;

/// How one stream is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostOptions {
    /// Name of the stream, told to every client.
    pub stream: String,
    /// Where the socket lies.
    pub path: PathBuf,
    /// Permission bits of the socket: who may connect needs write permission.
    pub mode: u32,
    /// Group of the socket; `None` leaves the daemon's own.
    pub group: Option<u32>,
    /// Another one for every host at this path; serials and buffer numbers belong to it.
    pub epoch: u64,
    /// Frames that all clients together may hold, the newest included. The source keeps the
    /// rest of its buffers, so that it never starves.
    pub frames: usize,
    /// Frames that one client may hold at once, whatever it asks for.
    pub credits_max: u16,
    /// Frames that a client may hold which does not ask for a number.
    pub credits: u16,
    /// Length of a lease where the client does not ask, in ns.
    pub lease_ns: u64,
    /// The longest that a client may hold one frame, renewals included, in ns.
    pub lease_max_ns: u64,
    /// Leases in a row that a client may let run out before it loses its connection.
    pub strikes_max: u32,
    /// How long an announced frame stays untouched without a lease, in ns.
    pub lifespan_ns: u64,
    /// Connections at once. The last eighth of them is shared among users: there, a user
    /// that has as many connections as are left gets no further one.
    pub clients_max: usize,
    /// Connections of one user at once.
    pub clients_per_uid_max: usize,
    /// A second socket, for clients of libvideostream 2.x; `None` for none.
    pub vsl: Option<VslOptions>,
}

/// The endpoint for clients of libvideostream 2.x (`docs/vsl.md`).
///
/// They map frames for writing or not at all. So whoever may connect there **can change the
/// pictures that every reader of the stream sees**, and frames must lie in memory that has a
/// descriptor for writing ([`Memory::writable`](vs_frame::Memory::writable)). They count as
/// clients of the stream in every respect: credits, leases, connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VslOptions {
    /// Where the socket lies.
    pub path: PathBuf,
    /// Permission bits of the socket.
    pub mode: u32,
    /// Group of the socket; `None` leaves the daemon's own.
    pub group: Option<u32>,
}

impl HostOptions {
    /// Two frames keep a client busy without a pause: one that it works on, one that waits.
    pub const DEFAULT_CREDITS: u16 = 2;
    /// Enough for a client that compares pictures over time, small beside a usual pool.
    pub const DEFAULT_CREDITS_MAX: u16 = 4;
    /// Frames in clients' hands: some of different age for slow readers.
    pub const DEFAULT_FRAMES: usize = 8;
    /// Far longer than honest work on a picture, short enough that a hung client is noticed
    /// by its neighbours as a hiccup.
    pub const DEFAULT_LEASE_NS: u64 = 1000 * NS_PER_MS;
    /// A client that needs a frame longer copies it.
    pub const DEFAULT_LEASE_MAX_NS: u64 = 10_000 * NS_PER_MS;
    /// A client that is slower than its lease asks for a longer one; one that ran into this
    /// many deadlines without giving a single frame back does not know that they exist.
    pub const DEFAULT_STRIKES_MAX: u32 = 16;
    /// The ancestor's promise.
    pub const DEFAULT_LIFESPAN_NS: u64 = 100 * NS_PER_MS;
    /// One descriptor each: the systemd unit allows for some thousands for all streams.
    pub const DEFAULT_CLIENTS_MAX: usize = 2048;
    /// The owner and the members of one group.
    pub const DEFAULT_MODE: u32 = 0o660;

    /// The defaults for a stream called `stream` at `path`.
    #[must_use]
    pub fn new(stream: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            stream: stream.into(),
            path: path.into(),
            mode: Self::DEFAULT_MODE,
            group: None,
            epoch: vs_frame::clock::monotonic_ns(),
            frames: Self::DEFAULT_FRAMES,
            credits_max: Self::DEFAULT_CREDITS_MAX,
            credits: Self::DEFAULT_CREDITS,
            lease_ns: Self::DEFAULT_LEASE_NS,
            lease_max_ns: Self::DEFAULT_LEASE_MAX_NS,
            strikes_max: Self::DEFAULT_STRIKES_MAX,
            lifespan_ns: Self::DEFAULT_LIFESPAN_NS,
            clients_max: Self::DEFAULT_CLIENTS_MAX,
            clients_per_uid_max: Self::DEFAULT_CLIENTS_MAX,
            vsl: None,
        }
    }
}
