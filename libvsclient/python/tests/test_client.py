# SPDX-License-Identifier: Apache-2.0
"""Waiting, connecting, counting."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import vsclient
from conftest import a_frame
from rig import PATIENCE, Rig


def test_serials_grow_by_one(rig: Rig) -> None:
    with vsclient.open("cam0", credits=4) as client:
        serials = [frame.serial for frame, _ in zip(client, range(50))]
        lost = client.counters.lost
    assert len(set(serials)) == 50 and serials == sorted(serials)
    assert serials[-1] - serials[0] - 49 == lost


def test_the_newest_frame(rig: Rig) -> None:
    with vsclient.open("cam0") as client:
        first = client.next(PATIENCE)
        newest = client.newest(PATIENCE)
        assert newest.serial > first.serial


def test_events_tell_what_happens(rig: Rig) -> None:
    with vsclient.open("rgb", name="events") as client:
        kinds = []
        while "frame" not in kinds:
            event = client.next_event(PATIENCE)
            kinds.append(event.kind)
            if event.kind == "connected":
                assert event.text == "rgb" and event.epoch_changed is False
            if event.kind == "format":
                assert event.format.fourcc == "RGB3"
            if event.kind == "frame":
                assert event.frame.serial == event.serial
        assert kinds[:2] == ["connected", "state"] and "format" in kinds
        assert client.state[0] == "running" and client.connected and client.retry_in is None


def test_counters_and_latency(rig: Rig) -> None:
    with vsclient.open("cam0", name="counted") as client:
        for _ in range(10):
            a_frame(client)
        counters = client.counters
        assert counters.received == 10 and counters.connections == 1
        assert counters.skipped_total == sum(counters.skipped.values())
        assert 0 < client.latency.min_ns <= client.latency.quantile_ns(0.5) <= client.latency.max_ns
        assert client.session.stream == "cam0" and client.session.credits >= 1
        names = [one["name"] for one in vsclient.Daemon().stream("cam0").clients]
        assert "counted" in names


def test_a_timeout_gives_none(rig: Rig) -> None:
    with vsclient.open("grey", credits=1, lease=10) as client:
        held = a_frame(client)
        assert client.next(0) is None and client.next(0.05) is None
        assert held.valid
        for wrong in (-1, float("nan")):
            with pytest.raises(ValueError, match="timeout"):
                client.next(wrong)


def test_the_socket_can_be_selected(rig: Rig) -> None:
    with vsclient.open("grey") as client:
        while client.next(0):
            pass
        readable, _, _ = select.select([client], [], [], PATIENCE)
        assert readable == [client]


def test_a_stream_that_is_not_there(rig: Rig) -> None:
    with pytest.raises(vsclient.ConnectError, match="check the name"):
        vsclient.open("nobody")
    with pytest.raises(ConnectionError):
        vsclient.open("")
    with pytest.raises(ValueError, match="leased and notify"):
        vsclient.open("cam0", mode="both")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        vsclient.open("cam0", credit=3)
    with vsclient.open("later", wait=True, socket_dir=rig.path) as client:
        assert client.next(0.2) is None and not client.connected
        format = vsclient.Format("GREY", 16, 16, 10)
        with vsclient.Publisher("later", format, socket_dir=rig.path) as publisher:
            # Whoever connects gets no frame that is old already.
            deadline = time.monotonic() + PATIENCE
            while client.next(0.05) is None:
                assert time.monotonic() < deadline
                publisher.publish(np.zeros((16, 16), np.uint8))
            assert client.connected


def test_a_lost_connection_is_made_again(own_rig: Rig) -> None:
    with vsclient.open("grey") as client:
        a_frame(client)
        own_rig.stop()
        kinds = []
        while "disconnected" not in kinds:
            kinds.append(client.next_event(PATIENCE).kind)
        assert client.retry_in is not None
        with pytest.raises(vsclient.Error, match="no connection"):
            client.fileno()
        own_rig.start()
        while kinds[-1] != "connected":
            event = client.next_event(PATIENCE)
            kinds.append(event.kind)
        assert event.epoch_changed
        a_frame(client)
        assert client.counters.connections == 2


def test_others_run_while_one_waits(rig: Rig) -> None:
    """Were the interpreter's lock held, the timer's thread could not end the wait."""
    client = vsclient.open("grey", credits=1, lease=10)
    held = a_frame(client)
    timer = threading.Timer(0.2, client.close)
    timer.start()
    assert list(client) == []
    timer.join()
    assert not held.valid


def test_numpy_is_wanted_by_arrays_only(rig: Rig) -> None:
    script = (
        "import sys\n"
        "sys.modules['numpy'] = None\n"
        "import vsclient\n"
        "frame = next(vsclient.open('rgb'))\n"
        "assert len(bytes(frame)) == frame.plane(0).nbytes == 64 * 48 * 3\n"
        "try:\n"
        "    frame.numpy()\n"
        "except ImportError:\n"
        "    sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=PATIENCE).returncode == 7


def test_a_signal_ends_a_wait(rig: Rig) -> None:
    """As Ctrl-C does: what the handler raises comes out of the wait."""
    with vsclient.open("grey", credits=1, lease=10) as client:
        held = a_frame(client)
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                client.next()
        finally:
            signal.signal(signal.SIGALRM, before)
        held.check()
