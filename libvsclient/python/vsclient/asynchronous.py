# SPDX-License-Identifier: Apache-2.0
"""The client for asyncio.

It watches the client's socket with the event loop (loop.add_reader) and needs no thread, but
for what may block: connecting, for the first time and after a connection was lost, runs on
the loop's executor.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Callable, TypeVar, Unpack

from ._native import Client, Event, Frame
from ._options import Options

# While something waits for room in the socket, the client looks again after this time, in
# seconds, even if nothing arrives. It needs a host that has not read hundreds of messages.
_BACKLOG_RETRY = 0.01

_T = TypeVar("_T", Frame, Event)


class AsyncClient:
    """A client of one stream, for one event loop. One task at a time may wait with it.

    async for frame in vsclient.open_async("cam0"): ...
    """

    def __init__(self, stream: str, **options: Unpack[Options]) -> None:
        self._stream = stream
        self._options = options
        self._client: Client | None = None
        # The descriptor that is watched, and who waits for it.
        self._watch: tuple[int, asyncio.Future[None]] | None = None

    @property
    def client(self) -> Client:
        """The client behind it, for counters, state and the like. RuntimeError before the first use."""
        if self._client is None:
            raise RuntimeError("not connected yet: await connect()")
        return self._client

    async def connect(self) -> Client:
        """Connects, unless that has happened. Raises ConnectError."""
        if self._client is None:
            self._client = await asyncio.to_thread(Client, self._stream, **self._options)
        return self._client

    async def next(self, timeout: float | None = None) -> Frame | None:
        """Waits for the next frame; None when timeout (in seconds) has passed. Raises ReceiveError."""
        return await self._wait(Client.next, timeout)

    async def newest(self, timeout: float | None = None) -> Frame | None:
        """The newest frame there is; if none waits, the next one."""
        return await self._wait(Client.newest, timeout)

    async def next_event(self, timeout: float | None = None) -> Event | None:
        """Waits for the next thing that happens."""
        return await self._wait(Client.next_event, timeout)

    async def _wait(self, take: Callable[[Client, float], _T | None], timeout: float | None) -> _T | None:
        client = await self.connect()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    retry_in = client.retry_in
                    if retry_in is not None:
                        # Events of the loss come first. The attempt is not made before its time,
                        # and not on this thread, for the host may be stopped; whoever cancels it
                        # loses nothing.
                        if retry_in > 0 and (taken := take(client, 0)) is not None:
                            return taken
                        await asyncio.sleep(retry_in)
                        await asyncio.to_thread(client.reconnect_if_due)
                    taken = take(client, 0)
                    if taken is not None:
                        return taken
                    if client.connected:
                        await self._readable(client)
        except TimeoutError:
            return None

    async def _readable(self, client: Client) -> None:
        """Waits until the socket has something, or it is time to look for room in it again."""
        loop = asyncio.get_running_loop()
        fd, ready = client.fileno(), loop.create_future()
        self._watch = (fd, ready)
        loop.add_reader(fd, self._unwatch)
        timer = loop.call_later(_BACKLOG_RETRY, self._unwatch) if client.has_backlog else None
        try:
            await ready
        finally:
            self._unwatch()
            if timer is not None:
                timer.cancel()

    def _unwatch(self) -> None:
        """Watches no more, and wakes who waits. Before the descriptor is closed: its number may be another's then."""
        if self._watch is not None:
            (fd, ready), self._watch = self._watch, None
            ready.get_loop().remove_reader(fd)
            if not ready.done():
                ready.set_result(None)

    def close(self) -> None:
        """Ends the connection, and with it the right to its frames; who waits is told.

        To be called on the event loop.
        """
        self._unwatch()
        if self._client is not None:
            self._client.close()

    def __aiter__(self) -> AsyncClient:
        return self

    async def __anext__(self) -> Frame:
        frame = None
        while frame is None:
            try:
                frame = await self.next()
            except ValueError:
                if self._client is not None and self._client.closed:
                    raise StopAsyncIteration from None
                raise
        return frame

    async def __aenter__(self) -> AsyncClient:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
