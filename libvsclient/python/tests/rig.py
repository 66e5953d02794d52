# SPDX-License-Identifier: Apache-2.0
"""A daemon with all that belongs to it: a private bus, directories, pattern streams.

What the Rust tests have in tests/src, as far as it is wanted here.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

# The most that is waited for anything.
PATIENCE = 30.0

ROOT = Path(__file__).resolve().parents[3]

# What the environment might tell the daemon.
FOREIGN = ("VIDEOSTREAMD_LOG", "STATE_DIRECTORY", "JOURNAL_STREAM", "DBUS_SESSION_BUS_ADDRESS")

CONFIG = """
[stream.cam0]
pattern = "bars"
format = "NV12"
size = "320x240"
rate = 100

[stream.grey]
pattern = "bars"
format = "GREY"
size = "162x120"
rate = 100

[stream.rgb]
pattern = "bars"
format = "RGB3"
size = "64x48"
rate = 100

[stream.yuyv]
pattern = "bars"
format = "YUYV"
size = "64x48"
rate = 100

[stream.planar]
pattern = "bars"
format = "YU12"
size = "64x48"
rate = 100

[stream.coded]
from = "cam0"
codec = "h264"
"""


def binary(name: str) -> Path:
    """A program of this workspace, where cargo puts it, or where VIDEOSTREAM_TEST_BINARIES says."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    return Path(os.environ.get("VIDEOSTREAM_TEST_BINARIES", target)) / name


class Rig:
    """The daemon runs from the beginning to close()."""

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="videostream-test-")
        self.path = Path(self.directory.name)
        self.sockets = self.path / "sockets"
        (self.path / "videostreamd.toml").write_text(CONFIG)
        self.daemon: subprocess.Popen[bytes] | None = None
        self.dbus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--nosyslog", "--print-address"]
            + ["--address", f"unix:path={self.path}/bus"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.dbus.stdout is not None
        self.bus = self.dbus.stdout.readline().strip()
        self.start()

    def start(self) -> None:
        """Starts the daemon and waits until it says that it is ready (sd_notify(3))."""
        notify = str(self.path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said:
            Path(notify).unlink(missing_ok=True)
            said.bind(notify)
            environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
            with open(self.path / "log", "ab") as log:
                self.daemon = subprocess.Popen(
                    [binary("videostreamd"), "--bus", self.bus, "--socket-dir", self.sockets, "--log", "info"]
                    + ["--config", self.path / "videostreamd.toml", "--state-dir", self.path / "state"],
                    env=environment | {"NOTIFY_SOCKET": notify},
                    stderr=log,
                )
            while True:
                ended = os.pidfd_open(self.daemon.pid)
                try:
                    ready, _, _ = select.select([said, ended], [], [], PATIENCE)
                finally:
                    os.close(ended)
                assert said in ready, f"the daemon does not start:\n{(self.path / 'log').read_text()}"
                if b"READY=1" in said.recv(4096).split():
                    return

    def signal(self, number: signal.Signals) -> None:
        """To the daemon."""
        assert self.daemon is not None
        self.daemon.send_signal(number)

    def stop(self) -> None:
        """Ends the daemon, as a service manager does."""
        if self.daemon is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            assert self.daemon.wait(PATIENCE) == 0
            self.daemon = None

    def close(self) -> None:
        """Ends everything."""
        try:
            self.stop()
        finally:
            if self.daemon is not None:
                self.daemon.kill()
                self.daemon.wait()
            self.dbus.kill()
            self.dbus.communicate()
            self.directory.cleanup()
