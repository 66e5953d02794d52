#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of libvideostream's wire protocol, written from docs/vsl.md alone.

    vsl.py SOCKET [--frames N] [--hold SECONDS] [--raw-dir DIR] [--table]

Locks, reads and unlocks N frames, as an application of libvideostream does, and prints one line
for each. With --table it then tries every row of the page's table of answers, and prints one
line for each of them. Exits with 0 if all is as the page says, with 1 and the reason if not,
with 2 if there is nobody.
"""

import argparse
import array
import mmap
import os
import socket
import struct
import sys
import time

EVENT, REQUEST = "=IIqqqqqqiIiiQQQiI", "=IIq"
LOCK, UNLOCK = 0, 1
SUCCESS, EXPIRED, INVALID_CONTROL, TOO_MANY_LOCKED = 0, 1, 2, 3
LOCKS_MAX = 20


def fail(reason):
    print(f"vsl.py: {reason}", file=sys.stderr)
    sys.exit(1)


def need(condition, what):
    if not condition:
        fail(f"not as the page says: {what}")


class Event:
    def __init__(self, record, fds):
        need(len(record) == struct.calcsize(EVENT) == 104, f"an event of {len(record)} bytes")
        (self.error, pad, self.serial, self.timestamp, self.duration, self.pts, self.dts, self.expires, self.locked,
         self.fourcc, self.width, self.height, self.address, self.size, self.offset, self.stride,
         pad2) = struct.unpack(EVENT, record)
        self.fds = fds
        need(pad == pad2 == 0, "padding is not 0")
        if self.serial:
            need(len(fds) == 1, f"a frame with {len(fds)} descriptors")
            need(self.error == self.locked == self.address == 0, "a frame with an error, a lock or an address")
            need(self.offset % mmap.PAGESIZE == 0 and self.size > 0, "a picture that cannot be mapped")
        else:
            need(not fds, "an answer with a descriptor")
            blank = struct.pack(EVENT, self.error, *[0] * 7, self.locked, *[0] * 8)
            need(record == blank, "an answer that is not 0 but for error and locked")

    def close(self):
        for fd in self.fds:
            os.close(fd)

    def read(self):
        """The picture, mapped as libvideostream maps it."""
        access = mmap.PROT_READ | mmap.PROT_WRITE
        with mmap.mmap(self.fds[0], self.size, mmap.MAP_SHARED, access, offset=self.offset) as picture:
            return picture[:]


class Connection:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self.sock.connect(path)
        self.frames = []

    def take(self):
        """The next message, or None at the end of the connection."""
        room = socket.CMSG_SPACE(8 * array.array("i").itemsize)
        try:
            record, ancillary, _, _ = self.sock.recvmsg(4096, room, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return None
        fds = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        return Event(record, list(fds)) if record else None

    def frame(self):
        if self.frames:
            return self.frames.pop(0)
        event = self.take() or fail("the host has closed the connection")
        need(event.serial > 0, "an answer to nothing")
        return event

    def say(self, record):
        self.sock.send(record)

    def ask(self, message, serial, more=b""):
        """The answer to a request: error and locked. Frames that come before it are kept."""
        self.say(struct.pack(REQUEST, message, 0xA5A5A5A5, serial) + more)
        while True:
            event = self.take() or fail("the host has closed the connection")
            if event.serial == 0:
                return event.error, event.locked
            self.frames.append(event)

    def newest(self):
        """The newest frame there is, the others let go."""
        event = self.frame()
        while self.frames:
            event.close()
            event = self.frames.pop(0)
        return event


def receive(host, args):
    last = 0
    for _ in range(args.frames):
        event = host.frame()
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        need(event.serial > last, "serials do not grow")
        need(event.timestamp <= now and event.expires > event.timestamp, "times that cannot be")
        last = event.serial
        error, locked = host.ask(LOCK, event.serial)
        need((error, locked) in ((SUCCESS, 1), (EXPIRED, 0)), f"a lock answered with {error}, {locked}")
        data = event.read() if locked else b""
        time.sleep(args.hold)
        need(not locked or data == event.read(), "a locked frame has changed")
        if args.raw_dir and locked:
            with open(os.path.join(args.raw_dir, f"{event.serial}.raw"), "wb") as file:
                file.write(data)
        # As the library does, locked or not.
        error, released = host.ask(UNLOCK, event.serial)
        need(released == 0 and error == (EXPIRED if not locked else SUCCESS), f"an unlock answered with {error}")
        fourcc = struct.pack("<I", event.fourcc).decode("ascii", "replace")
        print(f"frame {event.serial} {fourcc} {event.width}x{event.height} stride {event.stride} size {event.size} "
              f"locked {locked} latency_us {(now - event.timestamp) // 1000}", flush=True)
        event.close()


def table(host, path):
    def row(name, answer, expected):
        need(answer == expected, f"{name}: answered with {answer} instead of {expected}")
        print(f"row {name}", flush=True)

    while True:
        event = host.newest()
        serial = event.serial
        answer = host.ask(LOCK, serial)
        if answer == (SUCCESS, 1):
            break
        # It may have been gone before it was read.
        need(answer == (EXPIRED, 0), f"a lock answered with {answer}")
        event.close()
    print("row lock, frame alive", flush=True)
    row("lock, already locked", host.ask(LOCK, serial), (SUCCESS, 1))
    row("unlock, held", host.ask(UNLOCK, serial), (SUCCESS, 0))
    row("lock, unknown", host.ask(LOCK, 1 << 40), (EXPIRED, 0))
    row("unlock, unknown", host.ask(UNLOCK, 1 << 40), (EXPIRED, 0))
    row("lock, serial below 1", host.ask(LOCK, -1), (EXPIRED, 0))
    row("another message", host.ask(2, serial), (INVALID_CONTROL, 0))
    for length in (1, 88, 500):
        answer = host.ask(UNLOCK, 1 << 40, more=b"\xff" * length)
        row(f"{16 + length} bytes, the first 16 count", answer, (EXPIRED, 0))
    event.close()

    held = []
    while True:
        event = host.newest()
        error, locked = host.ask(LOCK, event.serial)
        if locked:
            held.append(event.serial)
            need(len(held) <= LOCKS_MAX, "more locks than 20")
        else:
            need(error in (EXPIRED, TOO_MANY_LOCKED), f"a lock answered with {error}")
        event.close()
        if error == TOO_MANY_LOCKED:
            break
    row("lock, too many locked", (error, locked), (TOO_MANY_LOCKED, 0))
    for serial in held:
        row("unlock, held", host.ask(UNLOCK, serial), (SUCCESS, 0))
    row("unlock, alive or gone, answered", host.ask(UNLOCK, held[0]) in ((SUCCESS, 0), (EXPIRED, 0)), True)

    host.say(b"\0" * 15)
    while (event := host.take()) is not None:
        need(event.serial > 0, "an answer to a message that is too short")
        event.close()
    print("row shorter than 16 bytes: disconnected", flush=True)
    again = Connection(path)
    again.frame().close()


def main():
    parser = argparse.ArgumentParser(description="receive frames as an application of libvideostream")
    parser.add_argument("socket")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--hold", type=float, default=0, help="seconds to hold each frame")
    parser.add_argument("--raw-dir", help="write each picture here")
    parser.add_argument("--table", action="store_true", help="then try every row of the table of answers")
    args = parser.parse_args()
    try:
        host = Connection(args.socket)
    except OSError as error:
        print(f"vsl.py: cannot connect to {args.socket}: {error}", file=sys.stderr)
        sys.exit(2)
    receive(host, args)
    if args.table:
        table(host, args.socket)


if __name__ == "__main__":
    main()
