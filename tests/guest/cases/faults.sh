# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 500
#
# Everything that vivid can do wrong, on one camera while another streams: the sick one is back by
# itself each time, its client stays, and the other one's stream does not stand still once.

. "$LIB"

controls() { v4l2-ctl -d "$1" -c "$2" || fail "v4l2-ctl $2"; }
state() { vsctl --json status "$1" | awk -F'"' '$2 == "state" { print $4; exit }'; }
# counted STREAM WHAT: of the counters that the source keeps.
counted() { vsctl --json status "$1" | awk -v what="\"$2\":" '$1 == what { sub(",", "", $2); print $2; exit }'; }
format() { vsctl --json status "$1" | awk -F'[ ,]+' '$2 == "\"width\":" { w = $3 } $2 == "\"height\":" { print w "x" $3; exit }'; }
# await SECONDS WHAT COMMAND...: until the command does it.
await() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $until ] || fail "$what; $(vsctl status)"
        sleep 0.2
    done
}
is_state() { [ "$(state "$1")" = "$2" ]; }
grows() { [ "$(counted "$1" "$2")" -gt "$3" ]; }

# cam0: a webcam; cam1: HDMI; cam2: well.
load vivid n_devs=3 node_types=0x1,0x1,0x1 num_inputs=1,1,1 input_types=0x0,0x3,0x0
webcam=$(video_node vivid-000-vid-cap)
hdmi=$(video_node vivid-001-vid-cap)
start_bus
start_daemon --state-dir "$PWD/state"
vsctl start-stream cam0 --size 320x180 --rate 10
vsctl start-stream cam2 --size 320x180 --rate 10
vsctl --json receive cam0 --duration 10min --timeout 5min >sick.json &
sick=$!
vsctl --json receive cam2 --duration 10min --timeout 5min >well.json &
well=$!

# inflict CONTROL=VALUE...: on the webcam; frames are back, and what it took is told.
inflict() {
    local control outages began
    outages=$(counted cam0 outages)
    for control; do controls "$webcam" "$control"; done
    began=$(date +%s%N)
    await 20 "$* has no effect" grows cam0 outages "$outages"
    await 30 "cam0 is not back after $*" is_state cam0 running
    printf '%-60s back after %d ms; outages %s, stalls %s, restarts %s, reopens %s\n' "$*" \
        $((($(date +%s%N) - began) / 1000000)) "$(counted cam0 outages)" "$(counted cam0 stalls)" \
        "$(counted cam0 restarts)" "$(counted cam0 reopens)"
    # Until it is taken for healthy, the next trouble would climb on.
    sleep 3
}

inflict inject_fatal_streaming_error=1
# A start that fails once: the ladder's next rung.
inflict inject_vidioc_streamon_error=1 inject_fatal_streaming_error=1
inflict inject_vidioc_reqbufs_error=1 inject_vidioc_streamon_error=1 inject_fatal_streaming_error=1

corrupt=$(counted cam0 corrupt)
for _ in 1 2 3; do controls "$webcam" inject_v4l2_buf_flag_error=1; sleep 0.5; done
await 10 "damaged frames are not counted" grows cam0 corrupt "$corrupt"
controls "$webcam" inject_vidioc_qbuf_error=1
lost=$(counted cam0 lost)
controls "$webcam" percentage_of_dropped_buffers=30
await 20 "lost frames are not counted" grows cam0 lost $((lost + 10))
controls "$webcam" percentage_of_dropped_buffers=0
captured=$(counted cam0 captured)
controls "$webcam" wrap_sequence_number=1
await 20 "the webcam stands still" grows cam0 captured $((captured + 30))
expect_equal "cam0 after drops and a wrap" running "$(state cam0)"
echo "damaged $(counted cam0 corrupt), lost $(counted cam0 lost)"

# Nothing but dropped frames: it stands still, is repaired as far as that goes, and comes back.
controls "$webcam" percentage_of_dropped_buffers=100
await 60 "the stall is not noticed" is_state cam0 failed
echo "nothing but drops: $(vsctl status cam0 | grep -m1 'no frame')"
controls "$webcam" percentage_of_dropped_buffers=0
await 30 "cam0 is not back after a stall" is_state cam0 running
echo "stalls $(counted cam0 stalls), restarts $(counted cam0 restarts), reopens $(counted cam0 reopens)"

# What the other one lost, by its driver's count: told, not judged, for an emulated machine loses
# frames whenever its host pauses it.
echo "the other camera: $(counted cam2 captured) frames, $(counted cam2 lost) lost, $(counted cam2 outages) outages"

# HDMI: no signal, then another resolution: no failure, but a wait, and another format.
vsctl start-stream cam1
vsctl --json receive cam1 --duration 10min --timeout 5min >hdmi.json &
watcher=$!
before=$(format cam1)
# The driver's words for what comes in.
set_to=0 no_signal=1 no_lock=2 out_of_range=3 selected=4
for signal in $no_signal $no_lock $out_of_range; do
    v4l2-ctl -d "$hdmi" -c dv_timings_signal_mode=$signal
    await 20 "that there is no signal ($signal) is not noticed" is_state cam1 waiting
    vsctl status cam1 | grep 'signal'
    v4l2-ctl -d "$hdmi" -c dv_timings_signal_mode=$set_to
    await 20 "the signal is not noticed" is_state cam1 running
done
for timings in 2 9; do
    v4l2-ctl -d "$hdmi" -c dv_timings="$timings" -c dv_timings_signal_mode=$selected
    others() { [ "$(format cam1)" != "$before" ]; }
    await 20 "another resolution is not noticed" others
    await 20 "cam1 does not go on" is_state cam1 running
    echo "timings $timings: $before, then $(format cam1)"
    before=$(format cam1)
done
kill -INT $watcher
wait $watcher || true
expect_match "connections of the HDMI client" '"connections": 1,' "$(cat hdmi.json)"

kill -INT $sick $well
wait $sick || true
wait $well || true
expect_match "connections of the sick camera's client" '"connections": 1,' "$(cat sick.json)"
expect_match "connections of the other camera's client" '"connections": 1,' "$(cat well.json)"
expect_equal "outages of the other camera" 0 "$(counted cam2 outages)"
vsctl status cam2
stop_daemon
cut -c1-180 "$OUT/daemon-log"
