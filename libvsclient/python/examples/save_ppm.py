#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Saves a picture without any image library: python3 save_ppm.py STREAM FILE.ppm

The stream is one of RGB3 or GREY; `vsctl start-stream rgb --from cam0 --format RGB3` makes one.
"""

import sys

import vsclient

# Letters with which a PNM file says what follows.
MAGIC = {"RGB3": "P6", "GREY": "P5"}


def main(stream: str, path: str) -> None:
    with vsclient.open(stream) as client:
        frame = client.newest(timeout=5)
        if frame is None:
            sys.exit(f"{stream} has no pictures: it is {' '.join(client.state)}")
        magic = MAGIC.get(frame.fourcc)
        if magic is None:
            sys.exit(f"{stream} is {frame.fourcc}: make an RGB3 stream of it")
        # The block ends with an error if the picture changed while it was written.
        with open(path, "wb") as file, frame.map() as reading:
            file.write(f"{magic} {frame.width} {frame.height} 255\n".encode())
            for row in reading.numpy():
                file.write(row)
    print(f"{path}: frame {frame.serial}")


if __name__ == "__main__":
    main(*sys.argv[1:])
