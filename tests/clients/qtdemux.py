# SPDX-License-Identifier: Apache-2.0
"""What GStreamer finds in an MP4, as one JSON object.

usage: qtdemux.py FILE SECONDS...

"frames": the time in ns of each frame from beginning to end; "duration" in ns; "seeks": the time of
the first frame that comes after going to each of the places.
"""

import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

# Longer than any step takes on a busy machine.
PATIENCE = 20 * Gst.SECOND

Gst.init(None)
pipeline = Gst.parse_launch(
    "filesrc name=file ! qtdemux ! h264parse ! fakesink name=sink sync=false signal-handoffs=true"
)
pipeline.get_by_name("file").props.location = sys.argv[1]
sink = pipeline.get_by_name("sink")
bus = pipeline.get_bus()
frames = []
sink.connect("handoff", lambda _sink, frame, _pad: frames.append(frame.pts))


def reach(state):
    """Goes to a state, and waits until it is there."""
    pipeline.set_state(state)
    settle()


def settle():
    outcome = pipeline.get_state(PATIENCE)[0]
    if outcome != Gst.StateChangeReturn.SUCCESS:
        message = bus.pop_filtered(Gst.MessageType.ERROR)
        sys.exit(f"{outcome.value_nick}: {message and message.parse_error()}")


reach(Gst.State.PLAYING)
end = bus.timed_pop_filtered(PATIENCE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
if end is None or end.type == Gst.MessageType.ERROR:
    sys.exit(f"it does not come to its end: {end and end.parse_error()}")
trouble = bus.pop_filtered(Gst.MessageType.WARNING)
if trouble is not None:
    sys.exit(f"warning: {trouble.parse_warning()}")
answer = {"frames": list(frames), "duration": pipeline.query_duration(Gst.Format.TIME)[1], "seeks": []}

reach(Gst.State.PAUSED)
for place in sys.argv[2:]:
    flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT | Gst.SeekFlags.SNAP_BEFORE
    if not pipeline.seek_simple(Gst.Format.TIME, flags, int(float(place) * Gst.SECOND)):
        answer["seeks"].append(None)
        continue
    settle()
    answer["seeks"].append(sink.props.last_sample.get_buffer().pts)
pipeline.set_state(Gst.State.NULL)
json.dump(answer, sys.stdout)
