# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 180
#
# Formats: every format, size and interval that the driver lists is listed; a stream takes size,
# rate and format; a client stays connected through changes of them, and through a change that
# the camera cannot make.

. "$LIB"

load vivid n_devs=1 node_types=0x1 num_inputs=1
start_bus
start_daemon
node=$(video_node vivid-000-vid-cap)

echo "# as many formats, sizes and rates as v4l2-ctl lists"
vsctl devices -v >"$OUT/list"
v4l2-ctl -d "$node" --list-formats-ext >"$OUT/v4l2-ctl-list"
count() { grep -cE -- "$1" "$2"; }
expect_equal formats "$(count "^[[:space:]]+\[[0-9]+\]: '" "$OUT/v4l2-ctl-list")" "$(count '^    (0x[0-9a-f]{8}|[A-Za-z0-9 ]{4})  [^ ]' "$OUT/list")"
expect_equal sizes "$(count 'Size: Discrete' "$OUT/v4l2-ctl-list")" "$(count '^      [0-9]+x[0-9]+ at ' "$OUT/list")"
expect_equal rates "$(count 'Interval: Discrete' "$OUT/v4l2-ctl-list")" \
    "$(sed -nE 's/^      [0-9]+x[0-9]+ at (.*) fps$/\1/p' "$OUT/list" | wc -w)"

echo "# a client stays through changes"
vsctl start-stream cam0 --format YUYV --size 320x180 --rate 30
vsctl receive cam0 --credits 4 --json >"$OUT/received" &
receiver=$!
until vsctl status cam0 | grep -q vsctl; do sleep 0.2; done
changed() { # WANTED ARGUMENT...
    local wanted=$1
    shift
    expect_match "start-stream $*" "cam0 is running: $wanted, dmabuf" "$(vsctl start-stream cam0 "$@")"
}
changed 'YUYV 640x360 at 30 fps' --size 640x360
changed 'NV12 640x360 at 30 fps' --format NV12
changed 'NV12 640x360 at 15 fps' --rate 15
refused=0
vsctl start-stream cam0 --format ZZZZ 2>refusal || refused=$?
expect_equal "exit status for a format that the camera does not have" 1 $refused
expect_match "after a refusal" '^cam0 +running' "$(vsctl --quiet status cam0)"
changed 'NV12 320x180 at 30 fps' --size 320x180 --rate 30
vsctl receive cam0 --frames 10
kill -TERM $receiver
wait $receiver || true
expect_match connections '"connections": 1,?$' "$(cat "$OUT/received")"
expect_match width '"width": 320,?$' "$(cat "$OUT/received")"
expect_match format '"fourcc": "NV12",?$' "$(cat "$OUT/received")"
stop_daemon
