#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of the stream protocol, written from docs/protocol.md alone.

    minimal.py SOCKET [--frames N] [--mode leased|notify] [--hold SECONDS] [--name NAME] [--raw-dir DIR]

Prints one line for each message. Exits with 0 after N frames, with 1 and the reason if the
host says GOODBYE, closes the connection or breaks the protocol, with 2 if there is nobody.
"""

import argparse
import collections
import fcntl
import mmap
import os
import socket
import struct
import sys
import time

HELLO, WELCOME, STATE, FORMAT, FRAME_EVENT = 0x01, 0x02, 0x03, 0x04, 0x05
LOCK_REQUEST, LOCK_RESPONSE, UNLOCK_REQUEST, REVOKED, BUFFER_RETIRED, GOODBYE = 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B
FIXED = {WELCOME: 120, STATE: 16, FORMAT: 120, FRAME_EVENT: 120, LOCK_RESPONSE: 40, REVOKED: 16, BUFFER_RETIRED: 16,
         GOODBYE: 24}
STATES = ["waiting", "running", "stopped", "failed"]
GOODBYES = ["other", "version", "malformed", "handshake-timeout", "not-reading", "too-many-clients",
            "too-many-of-user", "stream-removed", "shutdown"]
MODES = ["leased", "notify"]
F_GET_SEALS, F_SEAL_SHRINK = 1034, 0x0002
# _IOW('b', 0, u64), and the flags of struct dma_buf_sync.
DMA_BUF_IOCTL_SYNC, SYNC_READ, SYNC_END = 0x40086200, 1, 4


def fail(reason):
    print(f"minimal.py: {reason}", file=sys.stderr)
    sys.exit(1)


def need(condition, what):
    if not condition:
        fail(f"the host breaks the protocol: {what}")


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def text(data):
    return "".join(c if c.isprintable() else "\ufffd" for c in data.split(b"\0")[0].decode("utf-8", "replace"))


class Connection:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self.sock.connect(path)
        self.later = collections.deque()

    def send(self, kind, body):
        self.sock.send(struct.pack("<HHI", kind, 0, 8 + len(body)) + body)

    def lock(self, request, serial):
        """The deadline of a lease on a frame, or None. Whatever comes meanwhile is kept."""
        self.send(LOCK_REQUEST, struct.pack("<QQQ", request, serial, 0))
        while True:
            kind, record, fds = self.take()
            if kind == LOCK_RESPONSE and struct.unpack_from("<Q", record, 8)[0] == request:
                status, _, deadline_ns = struct.unpack_from("<IIQ", record, 24)
                return deadline_ns if status == 0 else None
            self.later.append((kind, record, fds))

    def receive(self):
        return self.later.popleft() if self.later else self.take()

    def take(self):
        """The next message of a known kind from the socket: (kind, record, descriptors)."""
        while True:
            try:
                record, fds, flags, _ = socket.recv_fds(self.sock, 8192, 4, socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:  # once, before the last messages
                continue
            if not record:
                fail("the host has closed the connection")
            need(len(record) >= 8 and not flags & socket.MSG_TRUNC, "a record has a wrong length")
            kind, _, length = struct.unpack_from("<HHI", record)
            need(length == len(record), "a header has a wrong length")
            need(len(record) >= FIXED.get(kind, 8), f"message {kind:#x} is too short")
            if kind != FRAME_EVENT:
                for fd in fds:
                    os.close(fd)
                fds = []
            if kind == GOODBYE:
                reason, major, minor, size = struct.unpack_from("<IHHI", record, 8)
                name = GOODBYES[reason] if reason < len(GOODBYES) else GOODBYES[0]
                fail(f"goodbye: {name}: {text(record[24:24 + size])} (host speaks {major}.{minor})")
            if kind in FIXED:
                return kind, record, fds


class Buffer:
    """Memories that arrived with a frame, mapped for reading."""

    def __init__(self, fds, dmabuf):
        self.dmabuf, self.fds, self.maps = dmabuf, fds, []
        for fd in fds:
            if not dmabuf:
                need(fcntl.fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK, "memory could shrink")
            size = os.lseek(fd, 0, os.SEEK_END)
            self.maps.append(mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ))

    def sync(self, end):
        for fd in self.fds if self.dmabuf else []:
            fcntl.ioctl(fd, DMA_BUF_IOCTL_SYNC, struct.pack("<Q", SYNC_READ | (SYNC_END if end else 0)))

    def close(self):
        for item in self.maps:
            item.close()
        for fd in self.fds:
            os.close(fd)


def read_format(record):
    fields = struct.unpack_from("<IIIIIIQ", record, 8)
    count = record[45]
    need(1 <= count <= 4, "planes")
    planes = [struct.unpack_from("<IIII", record, 48 + 16 * i) for i in range(count)]
    fourcc = struct.pack("<I", fields[1]).decode("ascii", "replace")
    print(f"format {fields[0]} {fourcc} {fields[2]}x{fields[3]} rate {fields[4]}/{fields[5]} planes {count}", flush=True)
    return {"number": fields[0], "stride": planes[0][1], "planes": planes}


def read_plane(buffer, form, bytes_used):
    """The bytes of the first plane, or the access unit of a coded stream."""
    for offset, _, size, memory in form["planes"]:
        need(memory < len(buffer.maps) and offset + size <= len(buffer.maps[memory]), "a plane outside its memory")
    offset, stride, size, memory = form["planes"][0]
    need(bytes_used[0] <= len(buffer.maps[0]), "more payload than memory")
    length = size if stride else min(size, bytes_used[0])
    buffer.sync(False)
    data = buffer.maps[memory][offset:offset + length]
    buffer.sync(True)
    return data


def main():
    parser = argparse.ArgumentParser(description="receive frames of a stream")
    parser.add_argument("socket")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--mode", choices=MODES, default="leased")
    parser.add_argument("--hold", type=float, default=0, help="seconds to hold each frame")
    parser.add_argument("--name", default="minimal.py")
    parser.add_argument("--raw-dir", help="write the first plane, or the access unit, of each frame here")
    args = parser.parse_args()
    try:
        host = Connection(args.socket)
    except OSError as error:
        print(f"minimal.py: cannot connect to {args.socket}: {error}", file=sys.stderr)
        sys.exit(2)
    name = args.name.encode()[:64]
    host.send(HELLO, struct.pack("<4sHHBBHIQ64s", b"VSD1", 1, 0, MODES.index(args.mode), 0, 0, 0, 0, name))

    buffers, form, frames, requests = {}, None, 0, 0
    while frames < args.frames:
        kind, record, fds = host.receive()
        if kind == WELCOME:
            major, minor, credits, mode = struct.unpack_from("<HHHB", record, 8)
            print(f"welcome {major}.{minor} credits {credits} mode {MODES[mode]} stream {text(record[56:120])}", flush=True)
        elif kind == STATE:
            state, size = struct.unpack_from("<II", record, 8)
            print(f"state {STATES[state] if state < 4 else STATES[0]} {text(record[16:16 + size])}", flush=True)
        elif kind == FORMAT:
            form = read_format(record)
        elif kind == BUFFER_RETIRED:
            retired = buffers.pop(struct.unpack_from("<Q", record, 8)[0], None)
            if retired:
                retired.close()
        elif kind == REVOKED:
            serial, = struct.unpack_from("<Q", record, 8)
            host.send(UNLOCK_REQUEST, struct.pack("<Q", serial))
            print(f"revoked {serial}", flush=True)
        elif kind == FRAME_EVENT:
            serial, number, form_number, _, sequence = struct.unpack_from("<QQIII", record, 8)
            memories, memory_kind, announced, leased = struct.unpack_from("<BBBB", record, 36)
            capture_ns, publish_ns, expires_ns = *struct.unpack_from("<QQ", record, 40), *struct.unpack_from("<Q", record, 80)
            bytes_used, skipped = struct.unpack_from("<4I", record, 88), struct.unpack_from("<4I", record, 104)
            latency = now_ns() - publish_ns
            need(form and form["number"] == form_number, "a frame of an unknown format")
            if number not in buffers:
                need(announced == memories > 0 and len(fds) == announced, "descriptors are missing (RLIMIT_NOFILE?)")
                buffers[number] = Buffer(fds, memory_kind == 1)
            else:
                for fd in fds:
                    os.close(fd)
            if not leased and args.hold:
                requests += 1
                expires_ns = host.lock(requests, serial) or expires_ns
            data = read_plane(buffers[number], form, bytes_used)
            time.sleep(args.hold)
            whole = now_ns() < expires_ns
            if leased or args.hold:
                host.send(UNLOCK_REQUEST, struct.pack("<Q", serial))
            if args.raw_dir:
                with open(os.path.join(args.raw_dir, f"{serial}.raw"), "wb") as file:
                    file.write(data)
            frames += 1
            mean = sum(data) / max(len(data), 1)
            print(f"frame {serial} sequence {sequence} buffer {number} bytes {len(data)} latency_us {latency // 1000} "
                  f"capture_us {(publish_ns - capture_ns) // 1000} skipped {sum(skipped)} whole {int(whole)} mean {mean:.2f}",
                  flush=True)


if __name__ == "__main__":
    main()
