# SPDX-License-Identifier: Apache-2.0
"""Frames of videostreamd's streams, without a copy.

    import vsclient

    for frame in vsclient.open("cam0"):
        a = frame.numpy(0)
        print(frame.serial, a.shape, a.mean())

docs/python.md says how long arrays are good for, and the rest.
"""

import os
import sys
from typing import Unpack

from ._errors import (
    CallError,
    CodecError,
    ConnectError,
    Disconnected,
    Error,
    Expired,
    LockError,
    PublishError,
    ReceiveError,
    Revoked,
)
from ._native import (
    Buffer,
    Client,
    Counters,
    Decoder,
    Encoder,
    Event,
    Format,
    Frame,
    Latency,
    Map,
    Output,
    Plane,
    Publisher,
    Session,
    monotonic_ns,
)
from ._options import Options
from .asynchronous import AsyncClient
from .daemon import Daemon, DeviceInfo, Finding, Info, Recording, RecordingInfo, SnapshotInfo, StreamInfo, Summary

# open is not among them, for `from vsclient import *` must not hide Python's own.
__all__ = [
    "AsyncClient",
    "Buffer",
    "CallError",
    "Client",
    "CodecError",
    "ConnectError",
    "Counters",
    "Daemon",
    "Decoder",
    "DeviceInfo",
    "Disconnected",
    "Encoder",
    "Error",
    "Event",
    "Expired",
    "Finding",
    "Format",
    "Frame",
    "Info",
    "Latency",
    "LockError",
    "Map",
    "Output",
    "Plane",
    "PublishError",
    "Publisher",
    "ReceiveError",
    "Recording",
    "RecordingInfo",
    "Revoked",
    "Session",
    "SnapshotInfo",
    "StreamInfo",
    "Summary",
    "monotonic_ns",
    "open_async",
]


def open(stream: str, **options: Unpack[Options]) -> Client:
    """Connects to a stream: its name, or the path of its socket (anything with a "/").

    The options are those of Client. Raises ConnectError, whose message says what to do.
    """
    return Client(stream, **_named(options))


def open_async(stream: str, **options: Unpack[Options]) -> AsyncClient:
    """A client for asyncio, with the options of Client. It connects when it is first used."""
    return AsyncClient(stream, **_named(options))


def _named(options: Options) -> Options:
    """By the name of the program, not by that of Python, the daemon's statistics know a client."""
    if options.get("name") is None:
        options["name"] = os.path.basename(sys.argv[0] if sys.argv else "") or "python"
    return options
