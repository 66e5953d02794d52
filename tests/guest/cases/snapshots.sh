# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 300
#
# The first snapshot of a camera that nobody uses is a real picture: the camera is opened for it, settles, and is closed again. In
# single- and multi-planar API, in several pixel formats. snapshots.judge.sh looks at the pictures.

. "$LIB"

# Far longer than an emulated machine takes for anything here.
patience=60

state() { vsctl --json status "$1" | awk -F'"' '$2 == "state" { print $4; exit }'; }
# await CAMERA STATE
await() {
    local until=$((SECONDS + patience))
    until [ "$(state "$1")" = "$2" ]; do
        [ $SECONDS -lt $until ] || fail "$1 is not $2: $(vsctl status "$1")"
        sleep 0.2
    done
}
# field KEY FILE: a number of a JSON report.
field() { awk -F'[:,]' -v key="\"$1\"" '$1 ~ key { print $2 + 0; exit }' "$2"; }
# now_ns: CLOCK_MONOTONIC, as far as /proc tells.
now_ns() { awk '{ printf "%.0f\n", $1 * 1e9 }' /proc/uptime; }

load vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2 num_inputs=1,1
cat >config.toml <<'END'
[defaults]
linger = "500ms"
END
for camera in cam0 cam1; do
    printf '[stream.%s]\ncamera = "%s"\nsize = "640x360"\nrate = 30\n' $camera $camera >>config.toml
done
start_bus
start_daemon --config config.toml

for camera in cam0 cam1; do
    await $camera idle
    called=$(now_ns)
    vsctl --json snapshot $camera "$OUT/$camera.jpg" --timeout 1min >"$OUT/$camera.json" || fail "no snapshot of $camera"
    taken=$(field capture_ns "$OUT/$camera.json")
    # It had half a second to settle, and no picture from before is passed off as new.
    awk -v t="$taken" -v c="$called" 'BEGIN { exit !(t - c >= 480000000) }' ||
        fail "$camera had no time to settle: taken at $taken, asked for at $called"
    await $camera idle
    vsctl snapshot $camera "$OUT/$camera.png" --size 320x320 --settle 0 --timeout 1min || fail "no PNG of $camera"
done

# The pixels as the driver gives them, and a picture of the same: by what is already running.
vsctl receive cam0 --frames 1000000 >/dev/null &
client=$!
await cam0 running
vsctl --json snapshot cam0 "$OUT/plain.raw" --timeout 1min >"$OUT/plain.json" || fail "no plain pixels"
vsctl snapshot cam0 "$OUT/plain.nv12" --timeout 1min || fail "no NV12"
kill -INT $client
wait $client || true
for camera in cam0 cam1; do await $camera idle; done

# A camera that is unplugged (both are one device of the driver) has no picture, and says so at once.
echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
until=$((SECONDS + patience))
until vsctl snapshot cam1 gone.jpg 2>gone; [ $? = 4 ]; do
    [ $SECONDS -lt $until ] || fail "a snapshot of a camera that is not there: $(cat gone)"
    rm -f gone.jpg
    sleep 0.5
done
expect_match "the reason" "not there" "$(cat gone)"
[ ! -e gone.jpg ] || fail "there is a file without a picture"
stop_daemon
