// SPDX-License-Identifier: Apache-2.0
//! The daemon's command line. It wins over the configuration file.

use std::path::PathBuf;

use clap::Parser;

use crate::bus::Address;

/// Owns cameras and codecs, and publishes each stream as a unix socket.
///
/// Without --config, /etc/videostream/videostreamd.toml is read if it exists; without that
/// too, every camera that is found can be started with `vsctl start-stream`.
#[derive(Parser, Debug)]
#[command(
    name = "videostreamd",
    version,
    after_help = "\
Examples:
  videostreamd                                    as a system service
  videostreamd --bus session --socket-dir /tmp/vs  as a user, for trying out
  videostreamd --config my.toml --check-config    is this file right?

Exit status: 0 after a clean shutdown, 1 if it could not run, 2 if an argument or the
configuration is wrong."
)]
pub struct Args {
    /// Configuration file; must exist if given
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// D-Bus to serve: system, session or an address
    #[arg(long, value_name = "BUS")]
    pub bus: Option<Address>,

    /// Directory for the streams' sockets
    #[arg(long, value_name = "DIR")]
    pub socket_dir: Option<PathBuf>,

    /// Directory for what is remembered across restarts
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Check the configuration, say what is wrong with it, and exit
    #[arg(long)]
    pub check_config: bool,

    /// What to log: error, warn, info, debug, trace, or a filter such as `info,vs_ipc=debug`
    #[arg(long, value_name = "FILTER", env = "VIDEOSTREAMD_LOG", default_value = "info")]
    pub log: String,
}
