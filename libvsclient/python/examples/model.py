#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model that is slower than the camera: python3 model.py STREAM [FRAMES] [SECONDS-EACH]

It holds one frame and takes the newest when it is done. The daemon skips the others for this
client alone and counts them; nobody else notices. Work that takes longer than the lease is
noticed: its result is thrown away, not believed.
"""

import sys
import time

import numpy as np

import vsclient


def model(picture: np.ndarray, seconds: float) -> float:
    """Stands for something that takes its time and reads the picture where it lies."""
    brightness = float(picture[::4, ::4].mean())
    time.sleep(seconds)
    return brightness


def main(stream: str, frames: int = 20, seconds: float = 0.1) -> None:
    with vsclient.open(stream, credits=1) as client:
        done = thrown_away = 0
        while done + thrown_away < frames:
            frame = client.newest(timeout=5)
            if frame is None:
                sys.exit(f"{stream} has no pictures: it is {' '.join(client.state)}")
            try:
                with frame, frame.map() as reading:
                    result = model(reading.numpy(0), seconds)
            except vsclient.Revoked:
                thrown_away += 1
                continue
            done += 1
            age = (vsclient.monotonic_ns() - frame.capture_ns) / 1e6
            print(f"frame {frame.serial}: {result:.1f}, {age:.0f} ms old", flush=True)
        print(f"{done} done, {thrown_away} too late, {client.counters.skipped_total} skipped meanwhile")


if __name__ == "__main__":
    main(sys.argv[1], *(kind(text) for kind, text in zip((int, float), sys.argv[2:])))
