# SPDX-License-Identifier: Apache-2.0
"""What can go wrong."""


class Error(Exception):
    """Base of all that this package raises of its own."""


class ConnectError(Error, ConnectionError):
    """There is no connection to a stream, or to the daemon. The message says what to do."""


class ReceiveError(Error, ConnectionError):
    """No more frames come; the client has ended."""


class Revoked(Error):
    """The right to read a frame has ended: its bytes may be those of a later one.

    Raised as such when the host has taken the frame back; the subclasses are other ends.
    """


class Expired(Revoked):
    """The lease's deadline has passed, or the lifespan of a frame without a lease."""


class Disconnected(Revoked):
    """The connection that delivered the frame has ended."""


class LockError(Error):
    """A frame is not locked, or not for longer."""


class PublishError(Error):
    """Nothing is published, or this frame was not."""


class CodecError(Error):
    """An encoder or decoder was not opened, does not take a frame, or has ended."""


class CallError(Error):
    """The daemon did not do what it was asked."""

    name: str
    """Which error it is, for programs: NoSuchStream, NotRunning, BadOption, Busy, Denied..."""

    def __init__(self, text: str, name: str = "Failed") -> None:
        super().__init__(text)
        self.name = name
