#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes moving bars: python3 publish.py SOCKET [FRAMES] [FPS]

`vsctl receive SOCKET` shows that they come; with `ipc = "SOCKET"` a stream of the daemon has them.
"""

import sys
import time

import numpy as np

import vsclient

WIDTH, HEIGHT = 640, 480


def main(path: str, frames: int = 300, fps: int = 30) -> None:
    format = vsclient.Format("RGB3", WIDTH, HEIGHT, fps)
    bars = np.repeat(np.random.default_rng(0).integers(0, 255, (1, 8, 3), np.uint8), WIDTH // 8, axis=1)
    with vsclient.Publisher(path, format) as publisher:
        print(f"publishing at {path}", flush=True)
        due = time.monotonic()
        for number in range(frames):
            buffer = publisher.buffer()
            # Painted where the clients will read it. No array may be left when it is published.
            buffer.numpy()[:] = np.roll(bars, number, axis=1)
            publisher.publish(buffer, pts=number * 1_000_000_000 // fps)
            due += 1 / fps
            time.sleep(max(0.0, due - time.monotonic()))
    print(f"{frames} frames")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
