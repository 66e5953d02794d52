#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a stream brings, once a second: python3 statistics.py STREAM [SECONDS]"""

import sys
import time

import vsclient


def main(stream: str, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    with vsclient.open(stream, credits=4) as client:
        count, since = 0, time.monotonic()
        while (now := time.monotonic()) < end:
            if client.next(timeout=1.0) is not None:
                count += 1
            if now - since >= 1.0:
                print(f"{count / (now - since):.1f} fps, {client.state[0]}", flush=True)
                count, since = 0, now
        counters, latency = client.counters, client.latency
        skipped = {reason: number for reason, number in counters.skipped.items() if number}
        print(f"{client.format}: {counters.received} frames, {counters.lost} lost {skipped or ''}")
        p50, p99 = latency.quantile_ns(0.5) or 0, latency.quantile_ns(0.99) or 0
        print(f"latency: half within {p50 / 1000:.0f} us, 99 % within {p99 / 1000:.0f} us")


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
