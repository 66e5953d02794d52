# SPDX-License-Identifier: Apache-2.0
"""One daemon for all tests but those that stop it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import vsclient
from rig import PATIENCE, Rig


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def own_rig() -> Iterator[Rig]:
    """For tests that stop the daemon, or stop it for a while."""
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture(autouse=True)
def socket_dir(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs find the daemon as they always do."""
    names = {"rig", "own_rig"} & set(request.fixturenames)
    for name in names:
        used: Rig = request.getfixturevalue(name)
        monkeypatch.setenv("VIDEOSTREAM_DIR", str(used.sockets))
        monkeypatch.setenv("VIDEOSTREAM_BUS", used.bus)


def a_frame(client: vsclient.Client) -> vsclient.Frame:
    frame = client.next(PATIENCE)
    assert frame is not None
    return frame


@pytest.fixture
def examples() -> Path:
    return Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    gc.collect()
