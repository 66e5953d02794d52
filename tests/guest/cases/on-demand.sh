# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 120
#
# A camera that nobody uses is closed: others may have it. It is opened for the first client or
# recording, without anybody starting its stream, and closed some time after the last one left.

. "$LIB"

# Far longer than an emulated machine takes for anything here.
patience=60

state() { vsctl --json status "$1" | awk -F'"' '$2 == "state" { print $4; exit }'; }
# await STATE
await() {
    local until=$((SECONDS + patience))
    until [ "$(state cam0)" = "$1" ]; do
        [ $SECONDS -lt $until ] || fail "cam0 is not $1: $(vsctl status cam0)"
        sleep 0.2
    done
}
# Descriptors of the camera that the daemon has.
# shellcheck disable=SC2154 # lib.sh sets daemon
open_nodes() { find "/proc/$daemon/fd" -lname "$camera" | wc -l; }
# closed: nobody keeps the camera from being set and run by others.
closed() {
    await idle
    expect_equal "descriptors of the camera" 0 "$(open_nodes)"
    v4l2-ctl -d "$camera" --set-fmt-video=width=640,height=360 --stream-mmap --stream-count=3 >/dev/null 2>&1 ||
        fail "the camera cannot be used by others"
}

load vivid n_devs=1 node_types=0x1 num_inputs=1
camera=$(video_node vivid-000-vid-cap)
printf '[defaults]\nlinger = "500ms"\n' >config.toml
start_bus
start_daemon --config config.toml
closed

for mode in leased notify; do
    vsctl receive cam0 --frames 20 --mode $mode || fail "no frames in $mode mode"
    closed
done

vsctl record cam0 out.mp4 --frames 10 || fail "no recording"
closed
[ -s out.mp4 ] || fail "the recording is empty"

# Two that overlap: the second one leaves, and the first one keeps it open.
vsctl receive cam0 --frames 1000000 >/dev/null &
first=$!
await running
vsctl receive cam0 --frames 5 || fail "no frames for a second client"
sleep 1
expect_equal "the stream" running "$(state cam0)"
[ "$(open_nodes)" -gt 0 ] || fail "the stream runs and its camera is not open"
kill -INT $first
wait $first || true
closed

# Held by another program when somebody comes: said, tried again, and had when it is free.
v4l2-ctl -d "$camera" --stream-mmap --stream-count=100000 >/dev/null 2>&1 &
holder=$!
until [ -n "$(find "/proc/$holder/fd" -lname "$camera")" ]; do sleep 0.2; done
sleep 1
vsctl receive cam0 --frames 5 --timeout 2min >/dev/null &
client=$!
await failed
expect_match "the reason" "$camera.*(held by another process|busy)" "$(vsctl status cam0)"
# Told once, however many come meanwhile.
before=$(wc -l <"$OUT/daemon-log")
for _ in 1 2 3; do vsctl receive cam0 --frames 1 --duration 1 >/dev/null 2>&1 || true; done
lines=$(tail -n +$((before + 1)) "$OUT/daemon-log" | grep -vc DEBUG || true)
[ "$lines" -le 2 ] || fail "$lines lines in the log for three clients: $(tail -n +$((before + 1)) "$OUT/daemon-log")"
vsctl start-stream cam0 2>/dev/null && fail "a camera that is held was started"
kill $holder
wait $holder || true
wait $client || fail "the client got no frames when the camera was free"
vsctl stop-stream cam0
expect_equal "the stream" stopped "$(state cam0)"

# Unplugged while nobody looks: its stream goes with it, and comes back with it.
echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
until=$((SECONDS + patience))
while vsctl --quiet status cam0 >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "the stream is there without its camera: $(vsctl status)"
    sleep 0.5
done
[ ! -e sockets/cam0 ] || fail "the socket is there without the camera"
# What somebody has stopped stays stopped when its camera comes back.
echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
udevadm settle
await stopped
[ ! -e sockets/cam0 ] || fail "a stopped stream has its socket back"
vsctl start-stream cam0 >/dev/null
vsctl receive cam0 --frames 5 || fail "no frames after the camera came back"
stop_daemon
