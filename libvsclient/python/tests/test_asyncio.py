# SPDX-License-Identifier: Apache-2.0
"""The client for asyncio."""

from __future__ import annotations

import asyncio
import threading

import pytest

import vsclient
from rig import PATIENCE, Rig


def run(main: object) -> None:
    async def limited() -> None:
        async with asyncio.timeout(PATIENCE):
            await main  # type: ignore[misc]

    asyncio.run(limited())


def test_frames_come_while_others_work(rig: Rig) -> None:
    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        serials = []
        async with vsclient.open_async("cam0", name="async") as client:
            threads = threading.active_count()
            async for frame in client:
                serials.append(frame.serial)
                assert frame.numpy(0).shape == (240, 320)
                if len(serials) == 30:
                    break
            assert threading.active_count() == threads, "frames need no thread"
            assert client.client.counters.received == 30
        ticking.cancel()
        assert serials == sorted(serials) and ticks > 3
        assert client.client.closed
        assert [frame async for frame in client] == [], "a closed client has no more frames"

    run(main())


def test_two_streams_in_one_loop(rig: Rig) -> None:
    async def take(stream: str) -> str:
        async for frame in vsclient.open_async(stream):
            return frame.fourcc
        raise AssertionError

    async def main() -> None:
        assert await asyncio.gather(take("grey"), take("rgb")) == ["GREY", "RGB3"]

    run(main())


def test_waits_end_in_time_and_when_cancelled(rig: Rig) -> None:
    async def main() -> None:
        async with vsclient.open_async("grey", credits=1, lease=10) as client:
            held = await client.next(PATIENCE)
            assert held is not None and await client.next(0.05) is None
            waiting = asyncio.create_task(client.next())
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            held.release()
            assert await client.newest(PATIENCE) is not None
            event = await client.next_event(PATIENCE)
            assert event is not None

    run(main())


def test_closing_ends_a_wait(rig: Rig) -> None:
    async def main() -> None:
        client = vsclient.open_async("grey", credits=1, lease=10)
        held = await client.next(PATIENCE)

        async def collect() -> list[vsclient.Frame]:
            return [frame async for frame in client]

        waiting = asyncio.create_task(collect())
        await asyncio.sleep(0.05)
        client.close()
        assert await waiting == [] and held is not None and not held.valid
        with pytest.raises(ValueError, match="closed"):
            await client.next()

    run(main())


def test_errors_are_raised(rig: Rig) -> None:
    async def main() -> None:
        with pytest.raises(vsclient.ConnectError):
            async for _ in vsclient.open_async("nobody"):
                pass
        with pytest.raises(RuntimeError):
            _ = vsclient.open_async("cam0").client

    run(main())


def test_a_lost_connection_is_made_again(own_rig: Rig) -> None:
    async def main() -> None:
        async with vsclient.open_async("grey") as client:
            assert await client.next(PATIENCE) is not None
            await asyncio.to_thread(own_rig.stop)
            event = await client.next_event()
            while event.kind != "disconnected":
                event = await client.next_event()
            assert event.retry_in is not None and not client.client.connected
            # Cancelled in the middle of whatever it does, it loses nothing.
            for _ in range(20):
                waiting = asyncio.create_task(client.next())
                await asyncio.sleep(0.01)
                waiting.cancel()
            restart = asyncio.create_task(asyncio.to_thread(own_rig.start))
            while (await client.next_event()).kind != "connected":
                pass
            await restart
            assert await client.next(PATIENCE) is not None

    run(main())
