# SPDX-License-Identifier: Apache-2.0
"""Arrays lie over frames without a copy, cannot be written to, and keep what they need."""

from __future__ import annotations

import ctypes
import weakref

import numpy as np
import pytest

import vsclient
from conftest import a_frame
from rig import PATIENCE, Rig

SHAPES = {
    "grey": [(120, 162)],
    "rgb": [(48, 64, 3)],
    "yuyv": [(48, 64, 2)],
    "cam0": [(240, 320), (120, 160, 2)],
    "planar": [(48, 64), (24, 32), (24, 32)],
}


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.mark.parametrize("stream", SHAPES)
def test_shapes_follow_the_fourcc(rig: Rig, stream: str) -> None:
    with vsclient.open(stream) as client:
        frame = a_frame(client)
        arrays = frame.numpy()
        several = arrays if isinstance(arrays, tuple) else (arrays,)
        assert [array.shape for array in several] == SHAPES[stream]
        assert [plane.shape for plane in frame.planes] == SHAPES[stream]
        for index, array in enumerate(several):
            assert array.dtype == np.uint8 and not array.flags.writeable
            # The rows are as far apart as the format says, and no copy was made.
            _, _, stride, _ = frame.format.planes[index]
            assert array.strides[0] == stride
            assert address(array) == address(frame.numpy(index)) == address(np.asarray(frame.plane(index)))
        with pytest.raises(IndexError, match="planes"):
            frame.plane(len(several))


def test_every_way_to_the_bytes_is_the_same_memory(rig: Rig) -> None:
    with vsclient.open("rgb") as client:
        frame = a_frame(client)
        array = frame.numpy()
        assert address(np.asarray(frame)) == address(array)
        assert address(np.from_dlpack(frame)) == address(array)
        assert address(np.from_dlpack(frame.plane(0))) == address(array)
        interface = frame.plane(0).__array_interface__
        assert interface["data"] == (address(array), True) and interface["shape"] == array.shape
        with memoryview(frame) as view:
            assert view.readonly and view.shape == array.shape
            assert view.tobytes() == array.tobytes() == frame.plane(0).tobytes()


def test_a_pattern_is_where_it_should_be(rig: Rig) -> None:
    """The bars' pixels are not those of another plane or row: what was copied by the daemon agrees."""
    with vsclient.open("grey") as client:
        frame = a_frame(client)
        copy = frame.copy()
        assert copy.flags.writeable and copy.flags.c_contiguous
        assert (copy == frame.numpy()).all() and copy.std() > 0


def test_frames_cannot_be_written_to(rig: Rig) -> None:
    with vsclient.open("grey") as client:
        frame = a_frame(client)
        array = frame.numpy()
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
        with pytest.raises(ValueError):
            array.flags.writeable = True
        assert not np.from_dlpack(frame).flags.writeable
        with pytest.raises((BufferError, TypeError)):
            (ctypes.c_char * 4).from_buffer(frame)
        # An older consumer would not see the flag, and be killed when it writes.
        with pytest.raises(BufferError, match="before version 1"):
            frame.__dlpack__()
        with pytest.raises(BufferError):
            frame.__dlpack__(max_version=(1, 0), copy=True)
        assert frame.__dlpack_device__() == (1, 0)


def test_several_planes_are_no_single_array(rig: Rig) -> None:
    with vsclient.open("cam0") as client:
        frame = a_frame(client)
        for take in (memoryview, np.asarray):
            with pytest.raises(BufferError, match="2 planes"):
                take(frame)
        with pytest.raises(BufferError, match="2 planes"):
            frame.__dlpack__(max_version=(1, 0))


@pytest.mark.parametrize("view", [np.asarray, np.from_dlpack, memoryview, lambda plane: plane.numpy()[10:20, 3:]])
def test_a_view_keeps_the_frame_and_its_lease(rig: Rig, view: object) -> None:
    with vsclient.open("grey", credits=1, lease=10) as client:
        frame = a_frame(client)
        array = view(frame.plane(0))  # type: ignore[operator]
        gone = weakref.ref(frame)
        frame.release()
        assert frame.released and not frame.valid
        with pytest.raises(ValueError, match="released"):
            frame.numpy()
        assert frame.serial > 0 and frame.format.fourcc == "GREY", "what is known of it stays"
        del frame
        assert gone() is None
        # With its one credit still in use the client gets nothing...
        assert client.next(0.2) is None
        np.asarray(array).sum()
        del array
        # ...and with the last view gone it does.
        assert client.next(PATIENCE) is not None


def test_coded_frames_are_bytes(rig: Rig) -> None:
    with vsclient.open("coded") as client:
        frame = a_frame(client)
        assert frame.format.coded and frame.keyframe, "everybody begins at a keyframe"
        array = frame.numpy()
        assert array.ndim == 1 and bytes(frame.plane(0).tobytes()) == bytes(memoryview(frame))
        # Annex B.
        assert bytes(array[:3]) in (b"\0\0\0", b"\0\0\1")


def test_what_is_known_of_a_frame(rig: Rig) -> None:
    before = vsclient.monotonic_ns()
    with vsclient.open("rgb") as client:
        frame = a_frame(client)
        frame = a_frame(client)
        assert (frame.width, frame.height, frame.fourcc) == (64, 48, "RGB3")
        assert frame.format.rate == (100, 1) and frame.format.fps == 100.0
        assert frame.format == client.format
        assert not frame.format.interlaced and frame.format.rotation == frame.format.modifier == 0
        assert frame.format.color[0] > 0, "sRGB, or what the pattern says"
        assert 0 < frame.capture_ns <= frame.publish_ns <= frame.received_ns
        assert before < frame.received_ns <= vsclient.monotonic_ns() < frame.deadline_ns + 10**10
        assert frame.leased and frame.valid and len(frame.fds) == 1
        assert repr(frame) == f"<vsclient.Frame {frame.serial} RGB3 64x48>"
        frame.check()
