#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several streams in one event loop: python3 two_cameras.py FRAMES STREAM..."""

import asyncio
import sys

import vsclient


async def watch(stream: str, frames: int) -> None:
    async with vsclient.open_async(stream) as client:
        count = 0
        async for frame in client:
            brightness = frame.numpy(0).mean()
            count += 1
            if count == frames:
                print(f"{stream}: frame {frame.serial} has brightness {brightness:.1f}")
                return


async def main(frames: int, streams: list[str]) -> None:
    await asyncio.gather(*(watch(stream, frames) for stream in streams))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
