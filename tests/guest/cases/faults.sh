# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 400
#
# Everything that vivid can do wrong, on one camera while another streams: the sick one is back by
# itself each time, its client stays, and the other one loses no frame. What came of each trouble
# is printed as a table.

. "$LIB"

# cam0: a webcam; cam1: HDMI; cam2: well. Slow and small: the processor is emulated.
load vivid n_devs=3 node_types=0x1,0x1,0x1 num_inputs=1,1,1 input_types=0x0,0x3,0x0
webcam=$(video_node vivid-000-vid-cap)
hdmi=$(video_node vivid-001-vid-cap)
start_bus
export VIDEOSTREAM_DIR=$PWD/sockets
start_daemon
vsctl start-stream cam0 --size 320x180 --rate 10
vsctl start-stream cam2 --size 320x180 --rate 10

set_webcam="v4l2-ctl -d $webcam -c"
cat >troubles <<END
hurt $set_webcam inject_fatal_streaming_error=1
rest true
hurt $set_webcam inject_vidioc_streamon_error=1; $set_webcam inject_fatal_streaming_error=1
rest true
hurt $set_webcam inject_vidioc_reqbufs_error=1; $set_webcam inject_vidioc_streamon_error=1; $set_webcam inject_fatal_streaming_error=1
rest true
ride $set_webcam inject_v4l2_buf_flag_error=1
ride $set_webcam inject_vidioc_qbuf_error=1
ride $set_webcam percentage_of_dropped_buffers=30
ride $set_webcam percentage_of_dropped_buffers=0
ride $set_webcam wrap_sequence_number=1
rest true
failed $set_webcam percentage_of_dropped_buffers=100
running $set_webcam percentage_of_dropped_buffers=0
rest true
hurt $set_webcam disconnect=1
END
outage-probe cam0 --beside cam2 <troubles || fail "the probe"

# HDMI: no signal, then another resolution: no failure, but a wait, and another format.
vsctl start-stream cam1
# The driver's words for what comes in.
signal="v4l2-ctl -d $hdmi -c dv_timings_signal_mode" timings="v4l2-ctl -d $hdmi -c dv_timings"
set_to=0 no_signal=1 no_lock=2 out_of_range=3 selected=4
: >troubles
for wrong in $no_signal $no_lock $out_of_range; do
    printf '%s\n' "waiting $signal=$wrong" "running $signal=$set_to" "rest true" >>troubles
done
for other in 2 9; do
    printf '%s\n' "hurt $timings=$other -c dv_timings_signal_mode=$selected" "rest true" >>troubles
done
outage-probe cam1 --beside cam2 <troubles || fail "the probe"

status=$(vsctl status cam2)
echo "$status"
expect_match "the other camera" 'no-buffer 0, outages 0, refusals 0, reopens 0, restarts 0, stalls 0' "$status"
stop_daemon
cut -c1-180 "$OUT/daemon-log"
