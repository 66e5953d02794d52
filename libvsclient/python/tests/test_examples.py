# SPDX-License-Identifier: Apache-2.0
"""The examples do what they say, as do the pieces of docs/python.md."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import vsclient
from rig import PATIENCE, ROOT, Rig


def example(examples: Path, name: str, *arguments: object) -> str:
    command = [sys.executable, str(examples / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_statistics(rig: Rig, examples: Path) -> None:
    said = example(examples, "statistics.py", "cam0", 2)
    assert re.search(r"^[\d.]+ fps, running$", said, re.M) and re.search(r"NV12 320x240 .*: \d+ frames", said), said
    assert "latency: half within" in said


@pytest.mark.parametrize(("stream", "magic"), [("rgb", b"P6 64 48 255\n"), ("grey", b"P5 162 120 255\n")])
def test_save_ppm(rig: Rig, examples: Path, tmp_path: Path, stream: str, magic: bytes) -> None:
    path = tmp_path / "out.ppm"
    example(examples, "save_ppm.py", stream, path)
    data = path.read_bytes()
    width, height = map(int, magic.split()[1:3])
    assert data.startswith(magic) and len(data) == len(magic) + width * height * (3 if stream == "rgb" else 1)


def test_two_cameras(rig: Rig, examples: Path) -> None:
    said = example(examples, "two_cameras.py", 10, "cam0", "grey")
    assert re.search(r"^cam0: frame \d+", said, re.M) and re.search(r"^grey: frame \d+", said, re.M)


def test_publish(examples: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    command = [sys.executable, str(examples / "publish.py"), str(path), "1000000", "100"]
    # What a shell runs in the background ignores Ctrl-C, and hands that on.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=heed) as process:
        assert process.stdout is not None and b"publishing" in process.stdout.readline()
        with vsclient.open(str(path)) as client:
            first, second = client.next(PATIENCE), client.next(PATIENCE)
            assert first is not None and second is not None
            assert (second.pts or 0) > (first.pts or 0) >= 0 and second.numpy().shape == (480, 640, 3)
            assert (first.numpy() != second.numpy()).any(), "the bars move"
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def test_model(rig: Rig, examples: Path) -> None:
    said = example(examples, "model.py", "cam0", 5, 0.05)
    skipped = re.search(r"^5 done, 0 too late, (\d+) skipped", said, re.M)
    assert skipped and int(skipped[1]) > 0, said


def test_checksum(rig: Rig, examples: Path) -> None:
    said = json.loads(example(examples, "checksum.py", "cam0", 50, 10))
    assert said["frames"] == 50 and 0 < said["latency_p50_ns"] <= said["latency_p99_ns"]
    assert said["checksum"] > 0 and said["frames_per_second"] > 1


def pieces() -> list[str]:
    """The pieces of code in docs/python.md; each stands for itself, in its order."""
    text = (ROOT / "docs" / "python.md").read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


@pytest.mark.parametrize("number", range(len(pieces())))
def test_the_documentation(rig: Rig, tmp_path: Path, number: int) -> None:
    """Loops that never end there end here after some frames."""
    code = pieces()[number]
    limit = (
        "import vsclient, itertools, vsclient.asynchronous\n"
        "_open = vsclient.open\n"
        "class _Few:\n"
        "    def __init__(self, client): self.client = client\n"
        "    def __iter__(self): return itertools.islice(iter(self.client), 5)\n"
        "    def __enter__(self): self.client.__enter__(); return self\n"
        "    def __exit__(self, *args): return self.client.__exit__(*args)\n"
        "    def __getattr__(self, name): return getattr(self.client, name)\n"
        "vsclient.open = lambda *args, **options: _Few(_open(*args, **options))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limit + code], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
        env=os.environ,
    )
    assert done.returncode == 0, f"{code}\n{done.stderr}"


def test_the_stubs_are_true() -> None:
    """Every class, method and parameter is there, in the stub and in the module; the types fit."""
    project = ROOT / "libvsclient" / "python"
    # -P: what is installed counts, not what lies here.
    stubtest = [sys.executable, "-P", "-m", "mypy.stubtest", "--concise", "--mypy-config-file", "pyproject.toml"]
    stubtest += ["--allowlist", "tests/stubtest-allowlist.txt", "--ignore-unused-allowlist", "vsclient._native"]
    checks = [stubtest, [sys.executable, "-P", "-m", "mypy"]]
    running = [
        subprocess.Popen(check, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for check in checks
    ]
    for process in running:
        said, _ = process.communicate(timeout=4 * PATIENCE)
        assert process.returncode == 0, said
