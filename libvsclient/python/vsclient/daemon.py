# SPDX-License-Identifier: Apache-2.0
"""The daemon's control plane: what can be asked and ordered over D-Bus.

    daemon = vsclient.Daemon()
    daemon.start_stream("cam0", size=(640, 480))
    with daemon.record("cam0", "out.mp4"):
        time.sleep(5)

Every method waits for the daemon's answer, which comes when the work is done, and lets other
threads run meanwhile. Each raises CallError, whose name says which error it is. Times are
seconds where they are given, ns where they are told.
"""

from __future__ import annotations

import json
import os
from types import SimpleNamespace, TracebackType
from typing import Any, TypeVar

from . import _native

File = str | os.PathLike[str] | int


class Info(SimpleNamespace):
    """The daemon itself."""

    version: str
    socket_directory: str
    epoch: int


class StreamInfo(SimpleNamespace):
    """A stream with all its properties, under the names of docs/dbus.md in lower case.

    What those document as dictionaries are dictionaries here.
    """

    name: str
    state: str
    state_text: str
    source_kind: str
    device: str
    socket: str
    vsl_socket: str
    format: dict[str, Any]
    encoding: dict[str, Any]
    past: dict[str, Any]
    adjustments: list[str]
    counters: dict[str, Any]
    clients: list[dict[str, Any]]
    departures: list[dict[str, Any]]


class DeviceInfo(SimpleNamespace):
    """A device with all its properties."""

    name: str
    kind: str
    node: str
    card: str
    driver: str
    bus: str
    path: str
    unit: str
    by_path: str
    by_id: str
    serial: str
    multiplanar: bool
    present: bool
    problem: str
    formats: list[dict[str, Any]]


class RecordingInfo(SimpleNamespace):
    """A recording with all its properties."""

    number: int
    name: str
    stream: str
    pre: int
    state: str
    error: str
    file: str
    segments: int
    encoding: dict[str, Any]
    progress: dict[str, int]


class Finding(SimpleNamespace):
    """Something that the daemon found about its machine."""

    topic: str
    name: str
    state: str
    text: str
    remedy: str


class SnapshotInfo(SimpleNamespace):
    """A snapshot that was taken."""

    stream: str
    format: str
    fourcc: str
    width: int
    height: int
    rotation: int
    bytes: int
    serial: int
    capture_time: int
    wall_time: int


class Summary(SimpleNamespace):
    """What became of a recording."""

    state: str
    reason: str
    error: str
    frames: int
    dropped: int
    duration: int
    bytes: int
    segments: int
    progressive: bool


_T = TypeVar("_T", bound=SimpleNamespace)


def _one(kind: type[_T], text: str) -> _T:
    return kind(**json.loads(text))


def _all(kind: type[_T], text: str) -> list[_T]:
    return [kind(**properties) for properties in json.loads(text)]


_CODING = ("codec", "bitrate", "rate_control", "quality", "keyframe_interval", "profile", "level", "backend")


def _coding(options: dict[str, Any]) -> dict[str, Any]:
    """The options of the encoder, each there; TypeError for one that is unknown."""
    unknown = options.keys() - set(_CODING)
    if unknown:
        raise TypeError(f"unknown option {sorted(unknown)[0]!r}: there are {', '.join(_CODING)}")
    return {name: options.get(name) for name in _CODING}


class Daemon:
    """A connection to the daemon.

    bus: "system", "session" or an address; by default what VIDEOSTREAM_BUS names, or the
    system bus. Raises ConnectError.
    """

    def __init__(self, bus: str | None = None) -> None:
        self._native = _native.Daemon(bus)

    def info(self) -> Info:
        """Version, directory of the sockets, epoch."""
        return _one(Info, self._native.info())

    def streams(self) -> list[StreamInfo]:
        """All streams, by name, as they are now."""
        streams = json.loads(self._native.streams())
        # A word of Python's own cannot be asked for by name.
        return [StreamInfo(made_from=properties.pop("from", ""), **properties) for properties in streams]

    def stream(self, name: str) -> StreamInfo:
        """One of them. KeyError if there is none of this name."""
        for stream in self.streams():
            if stream.name == name:
                return stream
        raise KeyError(name)

    def devices(self) -> list[DeviceInfo]:
        """All devices, by name, as they are now."""
        return _all(DeviceInfo, self._native.devices())

    def recordings(self) -> list[RecordingInfo]:
        """Recordings that run, or ended not long ago; the oldest first."""
        recordings = json.loads(self._native.recordings())
        return [RecordingInfo(number=number, **properties) for number, properties in recordings]

    def inspect(self) -> list[Finding]:
        """What this machine can do and what is missing, as the daemon sees it."""
        return _all(Finding, self._native.inspect())

    def metrics(self) -> str:
        """All counters and histograms in Prometheus' text format."""
        return self._native.metrics()

    def start_stream(
        self,
        name: str,
        *,
        format: str | None = None,
        size: tuple[int, int] | None = None,
        rate: int | tuple[int, int] | None = None,
        source: str | None = None,
        **coding: Any,
    ) -> None:
        """Starts a stream, which then runs until it is stopped, used or not.

        Answers when the first frame can come. source names the stream to make it from, if it is
        not there yet. For coded streams: codec, bitrate (bit/s), rate_control, quality,
        keyframe_interval (s), profile, level, backend.
        """
        rate = (rate, 1) if isinstance(rate, int) else rate
        self._native.start_stream(name, format, size, rate, source, _coding(coding))

    def stop_stream(self, name: str) -> None:
        """Stops a stream: nobody can use it before it is started again."""
        self._native.stop_stream(name)

    def request_keyframe(self, stream: str) -> None:
        """Asks a coded stream for a keyframe soon."""
        self._native.request_keyframe(stream)

    def record(
        self,
        stream: str,
        file: File,
        *,
        duration: float | None = None,
        frames: int | None = None,
        pre: float | None = None,
        detach: bool = False,
        **coding: Any,
    ) -> Recording:
        """Records into a file: a path, which is created or emptied, or a descriptor open for reading and writing.

        Answers when recording has begun. It ends with stop(), after duration (s) or frames, or,
        without detach, when this program ends. For the options of the encoder see start_stream.
        """
        options = _coding(coding)
        fd, opened, title = _opened(file, os.O_RDWR)
        try:
            return Recording(
                self._native.record(stream, fd, title, duration, frames, pre, detach, options)
            )
        finally:
            if opened:
                os.close(fd)

    def snapshot(
        self,
        stream: str,
        file: File,
        *,
        format: str | None = None,
        size: tuple[int, int] | None = None,
        quality: int | None = None,
        settle: float | None = None,
        timeout: float | None = None,
    ) -> SnapshotInfo:
        """Takes a picture into a file: a path, which is created or emptied, or a descriptor open for writing.

        format: "jpeg" (the default), "png", "raw" or a fourcc; what a path ends with counts if
        it is not said. The picture fits into size.
        """
        if format is None and not isinstance(file, int):
            format = {".png": "png", ".raw": "raw"}.get(os.path.splitext(os.fspath(file))[1].lower())
        fd, opened, _ = _opened(file, os.O_WRONLY)
        try:
            return _one(
                SnapshotInfo, self._native.snapshot(stream, fd, format, size, quality, settle, timeout)
            )
        finally:
            if opened:
                os.close(fd)


def _opened(file: File, access: int) -> tuple[int, bool, str | None]:
    """A descriptor, whether it is to be closed, and what the file is called.

    It is opened here, with the caller's own rights: the daemon opens no path that it is told.
    """
    if isinstance(file, int):
        return file, False, None
    path = os.fspath(file)
    return os.open(path, access | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666), True, path


class Recording:
    """A recording that was begun. As a context manager it is stopped at the end."""

    def __init__(self, native: _native.Recording) -> None:
        self._native = native

    @property
    def number(self) -> int:
        """Its number, by which the daemon knows it."""
        return self._native.number

    def progress(self) -> dict[str, int]:
        """How far it is: frames, dropped, duration (ns), bytes."""
        progress: dict[str, int] = json.loads(self._native.progress())
        return progress

    def stop(self) -> Summary:
        """Ends it; answers when the file is complete."""
        return _one(Summary, self._native.stop())

    def wait(self, timeout: float | None = None) -> Summary | None:
        """Waits until it has ended, for whatever reason; None when timeout (s) has passed."""
        text = self._native.wait(timeout)
        return None if text is None else _one(Summary, text)

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
