# SPDX-License-Identifier: Apache-2.0
"""What the package has from the Rust library. Import it from vsclient.

Times called ..._ns, pts, dts and duration are ns; those called capture, publish, received and
deadline are of the clock of time.monotonic_ns(). Timeouts and leases are seconds: None waits
for ever, 0 not at all. Whoever waits lets other threads run, and Ctrl-C ends the wait.
"""

import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, final, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer as _AnyBuffer

_Array = NDArray[np.uint8]

def monotonic_ns() -> int:
    """The clock of all times of frames, in ns: that of time.monotonic_ns()."""

@final
class Format:
    """How frames are laid out. Formats of frames may have padding; one made here has none."""

    def __new__(
        cls,
        fourcc: str,
        width: int,
        height: int,
        rate: int | tuple[int, int] | None = None,
        *,
        largest: int | None = None,
    ) -> Self:
        """fourcc: V4L2's, or a name such as I420. rate: frames per second, or frames in seconds.
        largest: of a coded stream, how many bytes an access unit has at most."""

    @property
    def fourcc(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def rate(self) -> tuple[int, int]:
        """Frames, in seconds; (0, 1) if unknown."""

    @property
    def fps(self) -> float | None: ...
    @property
    def rotation(self) -> int:
        """Degrees by which the picture is to be turned counter-clockwise to be upright."""

    @property
    def interlaced(self) -> bool: ...
    @property
    def modifier(self) -> int:
        """DRM's format modifier; 0 is plain rows of pixels."""

    @property
    def color(self) -> tuple[int, int, int, int]:
        """V4L2's colour space, transfer function, encoding and quantization (1 full range, 2 limited)."""

    @property
    def coded(self) -> bool:
        """Whether a frame is an access unit rather than a picture."""

    @property
    def planes(self) -> list[tuple[int, int, int, int]]:
        """Memory, offset, stride and size in bytes of each plane."""

    @property
    def parameter_sets(self) -> bytes:
        """Of a coded stream (Annex B for H.264 and H.265), else empty."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Plane:
    """One plane of a frame, as memory: buffer protocol, __array_interface__ and DLPack, none with a copy.

    Arrays over it keep it, and it keeps the frame with its lease, for as long as they are.
    """

    @property
    def index(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns, and samples of a pixel if there are several; bytes of a coded frame."""

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one row, column, sample to the next."""

    @property
    def nbytes(self) -> int:
        """Bytes without padding."""

    @property
    def readonly(self) -> bool: ...
    @property
    def valid(self) -> bool:
        """As Frame.valid; also after the frame was released."""

    def check(self) -> None:
        """As Frame.check; also after the frame was released."""

    def numpy(self) -> _Array:
        """An array over it, without a copy. Read-only, unless the plane is of a buffer to fill."""

    def tobytes(self) -> bytes:
        """A copy without padding. Raises Revoked if it may be torn."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """For from_dlpack. BufferError for consumers that do not know of read-only memory (DLPack before 1.0)."""

    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...

@final
class Frame:
    """One picture or access unit.

    It is given back when it and every array over it are gone, or, of the frame itself, with
    release(). Until then its client stays connected, unless that is closed. The right to read it
    may end before: then it raises Revoked when it is touched.
    """

    @property
    def serial(self) -> int:
        """Number in this life of the host, from 1; of a codec session, the tag."""

    @property
    def sequence(self) -> int:
        """The source's own count."""

    @property
    def capture_ns(self) -> int:
        """When the source had the picture."""

    @property
    def publish_ns(self) -> int:
        """When the host published it."""

    @property
    def received_ns(self) -> int:
        """When this process received it."""

    @property
    def pts(self) -> int | None: ...
    @property
    def dts(self) -> int | None: ...
    @property
    def duration(self) -> int | None: ...
    @property
    def flags(self) -> int:
        """All flags as bits; keyframe and gap are among them."""

    @property
    def keyframe(self) -> bool:
        """Decoding can start here."""

    @property
    def gap(self) -> bool:
        """The source lost frames, or time, just before this one."""

    @property
    def skipped(self) -> int:
        """Frames that this client missed on this connection until this one."""

    @property
    def format(self) -> Format: ...
    @property
    def fourcc(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def deadline_ns(self) -> int | None:
        """Until when the bytes surely stay as they are; None if for ever."""

    @property
    def leased(self) -> bool:
        """Whether the host keeps it for this client until it is given back."""

    @property
    def released(self) -> bool: ...
    @property
    def valid(self) -> bool:
        """Whether it may still be read, as far as this process knows without asking anybody."""

    def check(self) -> None:
        """Raises Revoked if what was read of the frame so far may be torn: call it after reading."""

    @property
    def fds(self) -> list[int]:
        """File descriptors of its memories, to import elsewhere; they are the frame's."""

    @property
    def planes(self) -> tuple[Plane, ...]: ...
    def plane(self, index: int) -> Plane: ...
    @overload
    def numpy(self, plane: None = None) -> Any:
        """The frame without a copy, read-only: an array, or a tuple of arrays if there are several planes."""

    @overload
    def numpy(self, plane: int) -> _Array: ...
    @overload
    def copy(self, plane: None = None) -> Any:
        """As numpy(), but copied and surely whole: raises Revoked if it may be torn."""

    @overload
    def copy(self, plane: int) -> _Array: ...
    def map(self) -> Map:
        """The frame for a `with` block, which raises Revoked at its end if what was read may be torn."""

    def release(self) -> None:
        """Gives the frame back as soon as no array over it is left."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_args: object) -> None: ...
    def __array__(self, *args: Any, **options: Any) -> _Array: ...
    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Map:
    """A frame that is being read; made by Frame.map()."""

    @property
    def planes(self) -> tuple[Plane, ...]: ...
    def plane(self, index: int) -> Plane: ...
    @overload
    def numpy(self, plane: None = None) -> Any: ...
    @overload
    def numpy(self, plane: int) -> _Array: ...
    def finish(self) -> None:
        """Ends it. Raises Revoked if what was read may be torn."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class Client:
    """A client of one stream; vsclient.open() makes one. Iterating gives every frame, for ever.

    It belongs to one thread at a time: what another one asks waits for it.
    """

    def __new__(
        cls,
        stream: str,
        *,
        mode: Literal["leased", "notify"] = "leased",
        credits: int = 0,
        lease: float | None = None,
        name: str | None = None,
        socket_dir: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        reconnect: bool = True,
        wait: bool = False,
    ) -> Self:
        """credits: frames to hold at once; 0 leaves it to the host. lease: how long. name: for the
        statistics. socket_dir: where sockets are, else VIDEOSTREAM_DIR, else /run/videostream.
        timeout: of an attempt to connect, else 5 s. wait: the stream need not be there yet."""

    def next(self, timeout: float | None = None) -> Frame | None:
        """Waits for the next frame; None when the time has passed. Raises ReceiveError."""

    def newest(self, timeout: float | None = None) -> Frame | None:
        """The newest frame there is: those that wait are passed over, and if none waits, the next one."""

    def next_event(self, timeout: float | None = None) -> Event | None:
        """Waits for the next thing that happens. next() and newest() do not tell these events."""

    def lock(self, frame: Frame, lease: float | None = None, *, timeout: float = 1.0) -> None:
        """Locks a frame, or prolongs its lease, counted from now. Raises LockError."""

    def fileno(self) -> int:
        """The socket, for selectors: when it is readable, call next(0) until it gives None.
        It is another one after each reconnection, and Error while there is none."""

    @property
    def retry_in(self) -> float | None:
        """Seconds until a lost connection is made again (by next and the like); None unless it is lost."""

    def reconnect_if_due(self) -> None:
        """Makes an attempt to connect, of 100 ms at most, if its time has come. For event loops:
        next and the like do it themselves."""

    @property
    def has_backlog(self) -> bool:
        """Whether an event loop should also wait until the socket is writable."""

    @property
    def connected(self) -> bool: ...
    @property
    def state(self) -> tuple[str, str]:
        """waiting, running, stopped or failed, and why; as of the last event."""

    @property
    def format(self) -> Format | None: ...
    @property
    def session(self) -> Session | None:
        """What was agreed upon with the host; None while there is no connection."""

    @property
    def counters(self) -> Counters: ...
    @property
    def latency(self) -> Latency:
        """From publication to this process, of frames published while it was connected."""

    @property
    def path(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None:
        """Ends the connection, and with it the right to its frames. May be called by any thread.
        Without it the connection ends when the client, its frames and their arrays are gone."""

    def __iter__(self) -> Iterator[Frame]: ...
    def __next__(self) -> Frame: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_args: object) -> None: ...

@final
class Session:
    """What a host and a client have agreed upon. Durations are seconds."""

    @property
    def client(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def mode(self) -> str: ...
    @property
    def credits(self) -> int: ...
    @property
    def lease(self) -> float: ...
    @property
    def lease_max(self) -> float: ...
    @property
    def lifespan(self) -> float: ...
    @property
    def stream(self) -> str: ...

@final
class Event:
    """Something that happened to a client. What its kind has nothing to say about is None.

    kind: connected, state, format, frame, revoked, locked, disconnected, retry-failed.
    """

    @property
    def kind(self) -> str: ...
    @property
    def frame(self) -> Frame | None: ...
    @property
    def format(self) -> Format | None: ...
    @property
    def state(self) -> str | None: ...
    @property
    def text(self) -> str:
        """Why, in words; the name of the stream when connected."""

    @property
    def serial(self) -> int | None: ...
    @property
    def reason(self) -> str | None:
        """Of a revocation, or of a lock that was refused."""

    @property
    def deadline_ns(self) -> int | None:
        """Of a lock that was granted."""

    @property
    def retry_in(self) -> float | None: ...
    @property
    def epoch_changed(self) -> bool | None:
        """The host has started anew: serials begin again."""

@final
class Counters:
    """What a client got and did not get, over all its connections."""

    @property
    def received(self) -> int: ...
    @property
    def lost(self) -> int:
        """Gaps in the serials."""

    @property
    def source_gaps(self) -> int: ...
    @property
    def revoked(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def skipped(self) -> dict[str, int]:
        """Frames that the host did not send, by reason."""

    @property
    def skipped_total(self) -> int: ...

@final
class Latency:
    """How long frames took."""

    @property
    def count(self) -> int: ...
    @property
    def min_ns(self) -> int | None: ...
    @property
    def mean_ns(self) -> float | None: ...
    @property
    def max_ns(self) -> int | None: ...
    def quantile_ns(self, q: float) -> int | None:
        """What a fraction q does not exceed: never too low, at most an eighth too high."""

@final
class Buffer:
    """A buffer to fill and then to publish, or to submit to an encoder.

    That takes it away, so no array over it may be left by then: BufferError.
    """

    @property
    def format(self) -> Format: ...
    @property
    def published(self) -> bool: ...
    @property
    def planes(self) -> tuple[Plane, ...]: ...
    def plane(self, index: int) -> Plane: ...
    @overload
    def numpy(self, plane: None = None) -> Any:
        """Writable, without a copy: an array, or a tuple of arrays if there are several planes."""

    @overload
    def numpy(self, plane: int) -> _Array: ...

@final
class Publisher:
    """Publishes one stream at one socket, from a thread of its own. No method waits for a client."""

    def __new__(
        cls,
        stream: str,
        format: Format,
        *,
        buffers: int | None = None,
        socket_dir: str | os.PathLike[str] | None = None,
    ) -> Self:
        """stream: the path of the socket, or a name in socket_dir. buffers: 12 unless said
        otherwise. Raises PublishError."""

    def buffer(self) -> Buffer:
        """A buffer to fill. Raises PublishError if this program holds them all."""

    def publish(
        self,
        what: Buffer | Frame | _AnyBuffer | ArrayLike | Sequence[ArrayLike],
        *,
        capture_ns: int | None = None,
        pts: int | None = None,
        dts: int | None = None,
        duration: int | None = None,
        sequence: int = 0,
        keyframe: bool = False,
        gap: bool = False,
        size: int | None = None,
    ) -> int:
        """Sends a frame to every client that may have it; its serial. A buffer or a frame of
        another stream goes without a copy, and a frame with the times it has. An array, one for
        each plane, or the bytes of an access unit are copied. size: bytes of an access unit in a
        buffer. capture_ns: now unless said otherwise."""

    def set_format(self, format: Format) -> None:
        """Buffers have another format from now on."""

    @property
    def format(self) -> Format | None: ...
    @property
    def path(self) -> str: ...
    @property
    def clients(self) -> list[str]:
        """Names of those who are connected."""

    def close(self, reason: str = "its program has ended it") -> None:
        """Tells the clients that the stream is gone, and removes the socket."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_args: object) -> None: ...

@final
class Output:
    """What came out of an encoder or decoder.

    kind: done (with frame), lost, drained, adjusted, refused.
    """

    @property
    def kind(self) -> str: ...
    @property
    def tag(self) -> int | None:
        """Of the frame that was submitted."""

    @property
    def frame(self) -> Frame | None: ...
    @property
    def text(self) -> str: ...

@final
class Encoder:
    """An encoder of the daemon: pictures in, access units out, each with the tag of its picture.

    docs/codec-sessions.md says how frames are lent. Raises CodecError.
    """

    def __new__(
        cls,
        format: Format,
        *,
        codec: str | None = None,
        bitrate: int | None = None,
        constant_bitrate: int | None = None,
        quality: int | None = None,
        keyframe_interval: float | None = None,
        profile: str | None = None,
        level: str | None = None,
        backend: str | None = None,
        bus: str | None = None,
    ) -> Self: ...
    def buffer(self, timeout: float | None = 10.0) -> Buffer:
        """A buffer for a picture, waiting until one comes back if all are in use."""

    def submit(
        self,
        what: Buffer | Frame | ArrayLike | Sequence[ArrayLike],
        tag: int = 0,
        *,
        pts: int | None = None,
        duration: int | None = None,
        timeout: float | None = 10.0,
    ) -> None:
        """Submits a picture: a buffer, or a frame of a stream, without a copy; arrays with one.
        Raises CodecError if what was made must be received first."""

    def receive(self, timeout: float | None = None) -> Output | None:
        """Waits for what comes out next; None when the time has passed."""

    def drain(self) -> None:
        """Asks for everything that is still inside; an output says when that was all."""

    def flush(self) -> None:
        """Forgets everything that was submitted and has not been received."""

    def force_keyframe(self) -> None: ...
    def set_bitrate(self, bits: int) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def inside(self) -> int:
        """Frames submitted of which nothing has come out."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_args: object) -> None: ...

@final
class Decoder:
    """A decoder of the daemon: access units in, pictures out, each with the tag of its unit."""

    def __new__(
        cls,
        codec: str = "H264",
        *,
        size: tuple[int, int] | None = None,
        formats: list[str] | None = None,
        backend: str | None = None,
        bus: str | None = None,
    ) -> Self:
        """formats: of the pictures, the most wanted first."""

    def submit(
        self,
        what: Frame | _AnyBuffer,
        tag: int = 0,
        *,
        pts: int | None = None,
        dts: int | None = None,
        duration: int | None = None,
        keyframe: bool = False,
        timeout: float | None = 10.0,
    ) -> None:
        """Submits an access unit: a frame without a copy and with its own times, or bytes."""

    def receive(self, timeout: float | None = None) -> Output | None: ...
    def drain(self) -> None: ...
    def flush(self) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def inside(self) -> int: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_args: object) -> None: ...

@final
class Daemon:
    """What vsclient.Daemon is made of: answers are JSON."""

    def __new__(cls, bus: str | None = None) -> Self: ...
    def info(self) -> str: ...
    def streams(self) -> str: ...
    def devices(self) -> str: ...
    def recordings(self) -> str: ...
    def inspect(self) -> str: ...
    def metrics(self) -> str: ...
    def start_stream(
        self,
        name: str,
        format: str | None,
        size: tuple[int, int] | None,
        rate: tuple[int, int] | None,
        source: str | None,
        coding: dict[str, Any],
    ) -> None: ...
    def stop_stream(self, name: str) -> None: ...
    def request_keyframe(self, name: str) -> None: ...
    def record(
        self,
        stream: str,
        fd: int,
        title: str | None,
        duration: float | None,
        frames: int | None,
        pre: float | None,
        detach: bool,
        coding: dict[str, Any],
    ) -> Recording: ...
    def snapshot(
        self,
        stream: str,
        fd: int,
        format: str | None,
        size: tuple[int, int] | None,
        quality: int | None,
        settle: float | None,
        timeout: float | None,
    ) -> str: ...

@final
class Recording:
    """What vsclient.Recording is made of."""

    @property
    def number(self) -> int: ...
    def stop(self) -> str: ...
    def wait(self, timeout: float | None = None) -> str | None: ...
    def progress(self) -> str: ...
