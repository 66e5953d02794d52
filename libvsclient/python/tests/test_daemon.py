# SPDX-License-Identifier: Apache-2.0
"""The control plane."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import vsclient
from rig import PATIENCE, Rig


def probe(path: Path) -> dict[str, str]:
    """What somebody else's player finds in a file."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "json"]
    command += ["-show_entries", "stream=codec_name,width,height,nb_read_frames"]
    found = subprocess.run([*command, path], capture_output=True, check=True, timeout=PATIENCE)
    streams: list[dict[str, str]] = json.loads(found.stdout)["streams"]
    return streams[0]


def test_what_there_is(rig: Rig) -> None:
    daemon = vsclient.Daemon()
    info = daemon.info()
    assert info.version and info.socket_directory == str(rig.sockets) and info.epoch > 0
    names = [stream.name for stream in daemon.streams()]
    assert names == ["cam0", "coded", "grey", "planar", "rgb", "yuyv"]
    coded = daemon.stream("coded")
    assert coded.made_from == "cam0" and coded.source_kind == "coded"
    assert coded.counters["skipped"].keys() and isinstance(coded.clients, list)
    with pytest.raises(KeyError):
        daemon.stream("nobody")
    assert daemon.devices() == [] or daemon.devices()[0].name
    assert any(finding.topic for finding in daemon.inspect())
    assert "videostream" in daemon.metrics()


def test_a_stream_is_started_and_stopped(rig: Rig) -> None:
    daemon = vsclient.Daemon(rig.bus)
    # Earlier tests may have used it: what runs keeps its format.
    daemon.stop_stream("yuyv")
    daemon.start_stream("yuyv", size=(32, 16), rate=50)
    assert daemon.stream("yuyv").state == "running"
    with vsclient.open("yuyv") as client:
        frame = client.next(PATIENCE)
        assert frame.numpy().shape == (16, 32, 2) and frame.format.rate == (50, 1)
    daemon.stop_stream("yuyv")
    assert daemon.stream("yuyv").state == "stopped"
    with pytest.raises(vsclient.CallError) as raised:
        daemon.start_stream("nobody")
    assert raised.value.name == "NoSuchStream"
    with pytest.raises(vsclient.CallError) as raised:
        daemon.start_stream("yuyv", format="none")
    assert raised.value.name in ("BadFormat", "BadOption")
    with pytest.raises(TypeError, match="bitrat"):
        daemon.start_stream("yuyv", bitrat=3)
    daemon.start_stream("yuyv", size=(64, 48), rate=100)
    assert daemon.stream("yuyv").format["width"] == 64


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs ffprobe")
def test_a_recording(rig: Rig, tmp_path: Path) -> None:
    daemon = vsclient.Daemon()
    path = tmp_path / "out.mp4"
    with daemon.record("cam0", path, frames=30, bitrate=500_000) as recording:
        running = [one for one in daemon.recordings() if one.number == recording.number]
        assert running[0].stream == "cam0" and running[0].file == str(path)
        summary = recording.wait(PATIENCE)
    assert summary.state == "finished" and summary.frames == 30
    assert probe(path) == {"codec_name": "h264", "width": 320, "height": 240, "nb_read_frames": "30"}

    with open(tmp_path / "by-fd.mp4", "w+b") as file:
        recording = daemon.record("cam0", file.fileno())
        assert recording.wait(0.3) is None
        assert recording.progress()["frames"] >= 0
        summary = recording.stop()
    assert int(probe(tmp_path / "by-fd.mp4")["nb_read_frames"]) == summary.frames

    with pytest.raises(vsclient.CallError):
        daemon.record("nobody", path)
    with pytest.raises(OSError):
        daemon.record("cam0", "/nowhere/at/all.mp4")
    with pytest.raises(ValueError, match="descriptor"):
        daemon.record("cam0", -1)


def test_a_snapshot(rig: Rig, tmp_path: Path) -> None:
    daemon = vsclient.Daemon()
    for name, magic in (("a.jpg", b"\xff\xd8"), ("a.png", b"\x89PNG")):
        taken = daemon.snapshot("cam0", tmp_path / name, size=(160, 120))
        assert (taken.width, taken.height, taken.stream) == (160, 120, "cam0")
        data = (tmp_path / name).read_bytes()
        assert data.startswith(magic) and len(data) == taken.bytes


def test_no_daemon(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(vsclient.ConnectError, match="bus"):
        vsclient.Daemon("unix:path=/nowhere/at/all")
    with pytest.raises(ValueError, match="is not a bus"):
        vsclient.Daemon("sesion")
