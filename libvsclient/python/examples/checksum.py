#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The consumer of the benchmark: python3 checksum.py STREAM FRAMES [WARM-UP]

Receives FRAMES frames after WARM-UP others (100), adds up the bytes of the middle row of each,
and prints one line of JSON: frames, seconds, frames/s, latency from publication to receipt in
ns (p50, p99), processor time in ns per frame, the sum, and the frames that it did not get.
"""

import json
import sys
import time

import vsclient

CREDITS = 4


def main(stream: str, frames: int, warm_up: int = 100) -> None:
    with vsclient.open(stream, credits=CREDITS) as client:
        for _ in range(warm_up):
            next(client)
        total = 0
        latencies = []
        lost = client.counters.lost
        cpu, begin = time.process_time_ns(), time.monotonic_ns()
        for frame in client:
            total += int(frame.numpy(0)[frame.height // 2].sum())
            latencies.append(frame.received_ns - frame.publish_ns)
            if len(latencies) == frames:
                break
        end, cpu = time.monotonic_ns(), time.process_time_ns() - cpu
        latencies.sort()
        result = {
            "language": "python",
            "frames": frames,
            "seconds": (end - begin) / 1e9,
            "frames_per_second": frames * 1e9 / (end - begin),
            "latency_p50_ns": latencies[frames // 2],
            "latency_p99_ns": latencies[frames * 99 // 100],
            "cpu_ns_per_frame": cpu // frames,
            "checksum": total,
            "lost": client.counters.lost - lost,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
