# SPDX-License-Identifier: Apache-2.0
"""The daemon's encoder and decoder: pictures there and back."""

from __future__ import annotations

import numpy as np
import pytest

import vsclient
from conftest import a_frame
from rig import PATIENCE, Rig

FORMAT = vsclient.Format("NV12", 64, 48, 30)
INTERVAL = 33_333_333


def drained(session: vsclient.Encoder | vsclient.Decoder) -> list[vsclient.Output]:
    """All that is still to come."""
    session.drain()
    outputs = []
    while True:
        output = session.receive(PATIENCE)
        assert output is not None, "the session does not drain"
        if output.kind == "drained":
            return outputs
        outputs.append(output)


def test_there_and_back(rig: Rig) -> None:
    units = []
    with vsclient.Encoder(FORMAT, quality=90, backend="software") as encoder:
        assert encoder.name and encoder.fileno() >= 0
        for number in range(6):
            if number % 2:
                luma, chroma = np.full((48, 64), 30 * number, np.uint8), np.full((24, 32, 2), 128, np.uint8)
                encoder.submit((luma, chroma), number, pts=number * INTERVAL)
            else:
                buffer = encoder.buffer()
                buffer.numpy(0)[:] = 30 * number
                buffer.numpy(1)[:] = 128
                encoder.submit(buffer, number, pts=number * INTERVAL)
            while output := encoder.receive(0):
                units.append(output)
        units += drained(encoder)
    assert [unit.tag for unit in units] == list(range(6)) and {unit.kind for unit in units} == {"done"}
    assert units[0].frame.keyframe and units[3].frame.pts == 3 * INTERVAL

    with vsclient.Decoder("H264", backend="software", formats=["NV12"]) as decoder:
        pictures = []
        for unit in units:
            # A frame of a session goes as it is; so would bytes.
            what = unit.frame if unit.tag % 2 else unit.frame.plane(0).tobytes()
            decoder.submit(what, unit.tag, pts=unit.frame.pts)
            while output := decoder.receive(0):
                pictures.append(output)
        pictures += drained(decoder)
        assert [picture.tag for picture in pictures] == list(range(6))
        for picture in pictures:
            luma, _ = picture.frame.numpy()
            assert luma.shape == (48, 64) and abs(int(luma.mean()) - 30 * picture.tag) < 8
            assert picture.frame.valid and picture.frame.deadline_ns is None and picture.frame.leased
            picture.frame.check()
    with pytest.raises(ValueError, match="closed"):
        decoder.receive(0)


def test_a_stream_is_encoded_without_a_copy(rig: Rig) -> None:
    with vsclient.open("cam0") as client:
        frame = a_frame(client)
        with vsclient.Encoder(frame.format, bitrate=500_000) as encoder:
            encoder.submit(frame, 7)
            encoder.force_keyframe()
            encoder.set_bitrate(300_000)
            frame.release()
            kinds = {output.kind: output for output in drained(encoder)}
            assert kinds["done"].tag == 7 and kinds["done"].frame.keyframe


def test_what_is_refused(rig: Rig) -> None:
    with pytest.raises(vsclient.CodecError):
        vsclient.Encoder(vsclient.Format("NV12", 64, 48), codec="VP90")
    with pytest.raises(ValueError, match="is not a bus"):
        vsclient.Encoder(FORMAT, bus="sesion")
    with vsclient.Encoder(FORMAT) as encoder:
        # Nobody receives: a program that goes on submitting is told, not blocked for ever.
        with pytest.raises(vsclient.CodecError):
            for tag in range(1000):
                encoder.submit((np.zeros((48, 64), np.uint8), np.zeros((24, 32, 2), np.uint8)), tag, timeout=1)
