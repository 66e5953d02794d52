# SPDX-License-Identifier: Apache-2.0
"""A revoked, expired or disconnected frame that is touched: an exception, never a crash, and
never a torn picture that nobody knows of."""

from __future__ import annotations

import gc
import itertools
import random
import signal
import threading
import time

import numpy as np
import pytest

import vsclient
from conftest import a_frame
from rig import PATIENCE, Rig

# Long enough for the daemon to be told, short enough to wait for.
LEASE = 0.3


def until_invalid(frame: vsclient.Frame) -> None:
    deadline = time.monotonic() + PATIENCE
    while frame.valid:
        assert time.monotonic() < deadline, "the lease does not end"
        time.sleep(0.005)


def touch_everything(frame: vsclient.Frame, kind: type[vsclient.Revoked]) -> None:
    assert not frame.valid
    for touch in (
        frame.check,
        frame.map,
        frame.numpy,
        frame.copy,
        lambda: frame.planes,
        lambda: memoryview(frame),
        lambda: np.asarray(frame),
        lambda: frame.__dlpack__(max_version=(1, 0)),
    ):
        with pytest.raises(vsclient.Revoked) as raised:
            touch()
        assert issubclass(raised.type, kind), raised


def test_an_expired_frame(rig: Rig) -> None:
    with vsclient.open("grey", lease=LEASE) as client:
        frame = a_frame(client)
        plane, array = frame.plane(0), frame.numpy()
        with pytest.raises(vsclient.Revoked):
            with frame.map() as reading:
                seen = reading.numpy()
                until_invalid(frame)
                seen.sum()
        touch_everything(frame, vsclient.Revoked)
        with pytest.raises(vsclient.Revoked):
            plane.numpy()
        with pytest.raises(vsclient.Revoked):
            plane.tobytes()
        # The memory is still there; what it shows may be another picture.
        assert not plane.valid and array.shape == (120, 162) and array.sum() >= 0


def test_a_revoked_frame(rig: Rig) -> None:
    with vsclient.open("grey", lease=LEASE) as client:
        frame = a_frame(client)
        while True:
            event = client.next_event(PATIENCE)
            assert event is not None
            if event.kind == "revoked":
                break
        assert event.serial == frame.serial and event.reason
        touch_everything(frame, vsclient.Revoked)
        assert client.counters.revoked == 1
        # The client goes on.
        frame.release()
        assert client.next(PATIENCE) is not None


def test_a_frame_whose_client_is_closed(rig: Rig) -> None:
    client = vsclient.open("grey")
    frame = a_frame(client)
    array = frame.numpy()
    client.close()
    touch_everything(frame, vsclient.Disconnected)
    array.sum()
    with pytest.raises(ValueError, match="closed"):
        client.next(0)
    assert list(client) == [] and client.closed


def test_a_frame_whose_daemon_is_gone(own_rig: Rig) -> None:
    with vsclient.open("grey", reconnect=False) as client:
        frame = a_frame(client)
        with pytest.raises(vsclient.Disconnected):
            with frame.map() as reading:
                array = reading.numpy()
                own_rig.signal(signal.SIGKILL)
                own_rig.daemon.wait()
                own_rig.daemon = None
                # Nobody has read the socket since: the check asks the kernel.
        with pytest.raises(vsclient.ReceiveError):
            while client.next(PATIENCE):
                pass
        touch_everything(frame, vsclient.Disconnected)
        # The memory outlives the daemon.
        array.sum()


def test_arrays_outlive_everything(own_rig: Rig) -> None:
    """Frames, clients and the daemon go, in threads and in the middle of reading; the memory stays."""
    kept = []
    lock = threading.Lock()

    def collect(stream: str) -> None:
        with vsclient.open(stream, credits=8) as client:
            for frame in itertools.islice(client, 6):
                with lock, frame:
                    kept.extend((frame.numpy(0), np.from_dlpack(frame.plane(0)), memoryview(frame.plane(0))))

    threads = [threading.Thread(target=collect, args=(stream,)) for stream in ("cam0", "grey", "rgb", "planar") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own_rig.signal(signal.SIGKILL)
    own_rig.daemon.wait()
    own_rig.daemon = None
    random.Random(1).shuffle(kept)
    while kept:
        gc.collect()
        assert sum(int(np.asarray(view).sum()) for view in kept) > 0
        del kept[: len(kept) // 2 + 1]


def test_a_frame_keeps_its_client(rig: Rig) -> None:
    frame = next(vsclient.open("grey", name="kept"))
    array = frame.numpy()
    frame.check()
    plane = frame.plane(0)
    frame.release()
    plane.check()
    here = [one["name"] for one in vsclient.Daemon().stream("grey").clients]
    del frame, plane, array
    deadline = time.monotonic() + PATIENCE
    while "kept" in [one["name"] for one in vsclient.Daemon().stream("grey").clients]:
        assert time.monotonic() < deadline, "the connection outlives its last array"
    assert "kept" in here


def test_a_with_block_hides_no_other_error(rig: Rig) -> None:
    with vsclient.open("grey", lease=LEASE) as client:
        frame = a_frame(client)
        with pytest.raises(ZeroDivisionError):
            with frame.map():
                until_invalid(frame)
                1 / 0


def test_reading_in_time_is_vouched_for(rig: Rig) -> None:
    with vsclient.open("grey", lease=10) as client:
        for frame, _ in zip(client, range(20)):
            with frame, frame.map() as reading:
                reading.numpy().sum()
            assert frame.released


def test_a_lease_is_prolonged(rig: Rig) -> None:
    with vsclient.open("grey", lease=1.0) as client:
        frame = a_frame(client)
        first = frame.deadline_ns
        client.lock(frame, 5.0)
        assert frame.deadline_ns > first + 10**9
        frame.check()


def test_a_frame_that_was_only_announced(rig: Rig) -> None:
    with vsclient.open("grey", mode="notify") as client:
        assert client.session.mode == "notify"
        for _ in range(100):
            frame = client.newest(PATIENCE)
            assert not frame.leased
            try:
                client.lock(frame)
            except vsclient.LockError:
                continue  # on a busy machine its lifespan may be over
            break
        assert frame.leased
        frame.copy()
