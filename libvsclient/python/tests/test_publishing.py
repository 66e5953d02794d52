# SPDX-License-Identifier: Apache-2.0
"""A program publishes frames of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vsclient
from conftest import a_frame
from rig import PATIENCE, Rig

GREY = vsclient.Format("GREY", 34, 16, 30)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "mine")


def test_a_buffer_is_filled_and_published_without_a_copy(path: str) -> None:
    with vsclient.Publisher(path, GREY) as publisher, vsclient.open(path, name="reader") as client:
        assert publisher.path == client.path == path and publisher.format == GREY
        buffer = publisher.buffer()
        array = buffer.numpy()
        assert array.shape == (16, 34) and array.flags.writeable
        array[:] = np.arange(34)
        np.from_dlpack(buffer.plane(0))[0, 0] = 200
        # Something could still write to it.
        with pytest.raises(BufferError, match="1 arrays could still write"):
            publisher.publish(buffer)
        assert not buffer.published
        del array
        assert publisher.publish(buffer, pts=5, dts=-4, duration=3, sequence=2, capture_ns=7, gap=True) == 1
        assert buffer.published
        for use in (buffer.numpy, lambda: np.asarray(buffer.plane(0)), lambda: publisher.publish(buffer)):
            with pytest.raises((ValueError, BufferError), match="published"):
                use()
        frame = a_frame(client)
        seen = frame.numpy()
        assert seen[0, 0] == 200 and (seen[1] == np.arange(34)).all()
        assert (frame.pts, frame.dts, frame.duration, frame.sequence, frame.capture_ns) == (5, -4, 3, 2, 7)
        assert frame.gap and not frame.keyframe and frame.flags == 2
        assert publisher.clients == ["reader"]


@pytest.mark.parametrize("fourcc", ["GREY", "RGB3", "NV12", "YU12", "YUYV"])
def test_arrays_are_copied(path: str, fourcc: str) -> None:
    format = vsclient.Format(fourcc, 34, 16, (30000, 1001))
    random = np.random.default_rng(1)
    with vsclient.Publisher(path, format) as publisher, vsclient.open(path) as client:
        arrays = [random.integers(0, 255, plane.shape, np.uint8) for plane in publisher.buffer().planes]
        publisher.publish(arrays if len(arrays) > 1 else arrays[0])
        frame = a_frame(client)
        assert frame.format.rate == (30000, 1001)
        for index, array in enumerate(arrays):
            assert (frame.numpy(index) == array).all()


def test_what_does_not_fit_is_refused(path: str) -> None:
    with vsclient.Publisher(path, GREY) as publisher:
        with pytest.raises(ValueError, match=r"\(16, 34\).*\(34, 16\)"):
            publisher.publish(np.zeros((34, 16), np.uint8))
        with pytest.raises(ValueError, match="shape"):
            publisher.publish(7)
        with pytest.raises(TypeError):
            publisher.publish(np.zeros((16, 34), np.float32))
        # Each refused frame's buffer is free again.
        for _ in range(50):
            publisher.publish(np.zeros((16, 34), np.uint8))
    with pytest.raises(ValueError, match="closed"):
        publisher.buffer()
    with pytest.raises(ValueError, match="no format|not a format"):
        vsclient.Format("no format", 1, 1)
    with pytest.raises(ValueError, match="largest"):
        vsclient.Format("H264", 64, 48)
    with pytest.raises(vsclient.PublishError, match="."):
        vsclient.Publisher("/nowhere/at/all", GREY)


def test_access_units_are_bytes(path: str) -> None:
    format = vsclient.Format("H264", 64, 48, 30, largest=1000)
    unit = b"\0\0\0\1\x65" + bytes(200)
    with vsclient.Publisher(path, format) as publisher, vsclient.open(path) as client:
        publisher.publish(unit, keyframe=True)
        frame = a_frame(client)
        assert frame.keyframe and bytes(frame.plane(0)) == unit
        with pytest.raises(ValueError, match="largest"):
            publisher.publish(bytes(5000))
        buffer = publisher.buffer()
        buffer.numpy()[:3] = (1, 2, 3)
        publisher.publish(buffer, size=3)
        assert bytes(a_frame(client).plane(0)) == b"\1\2\3"


def test_a_frame_of_a_stream_is_passed_on_without_a_copy(rig: Rig, path: str) -> None:
    with vsclient.open("grey") as client, vsclient.Publisher(path, GREY) as publisher:
        frame = a_frame(client)
        with vsclient.open(path) as reader:
            publisher.publish(frame)
            again = a_frame(reader)
            assert (again.numpy() == frame.numpy()).all() and again.capture_ns == frame.capture_ns
            assert os.fstat(again.fds[0]).st_ino == os.fstat(frame.fds[0]).st_ino, "the same memory"


def test_the_format_changes(path: str) -> None:
    with vsclient.Publisher(path, GREY) as publisher, vsclient.open(path) as client:
        publisher.publish(np.zeros((16, 34), np.uint8))
        first = a_frame(client)
        publisher.set_format(vsclient.Format("RGB3", 20, 10))
        publisher.publish(np.ones((10, 20, 3), np.uint8))
        second = a_frame(client)
        assert first.numpy().shape == (16, 34) and second.numpy().shape == (10, 20, 3)


def test_a_publisher_that_is_killed(path: str) -> None:
    """Its memory outlives it, and its readers are told."""
    script = (
        "import sys, time, numpy, vsclient\n"
        f"publisher = vsclient.Publisher({path!r}, vsclient.Format('GREY', 34, 16, 30))\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    publisher.publish(numpy.full((16, 34), 9, numpy.uint8))\n"
        "    time.sleep(0.01)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        with vsclient.open(path, reconnect=False) as client:
            frame = client.next(PATIENCE)
            array = frame.numpy()
            process.kill()
            process.wait()
            with pytest.raises(vsclient.ReceiveError):
                while True:
                    client.next(PATIENCE)
            assert (array == 9).all()
            with pytest.raises(vsclient.Disconnected):
                frame.check()
