# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 600
#
# A camera is unplugged and plugged in 100 times (20 in a quick run), under clients and a recording: none of them is
# ended, frames are back each time and none is stale, and the daemon is as it was. replug.judge.sh
# looks at the file.

. "$LIB"

warm_up=5
cycles=$(often 100 20)
# Frames are to be back a second after the camera. udev's own processes take most of that here,
# on one emulated processor that is shared with the encoder: so the median counts, and is held to
# twice as much; all are printed.
median_max_ms=2000
driver=/sys/bus/platform/drivers/vivid

state() { vsctl --json status cam0 | awk -F'"' '$2 == "state" { print $4; exit }'; }
files() { find "/proc/$pid/fd" -type l | wc -l; }
names() { cat "/proc/$pid"/task/*/comm | sort | uniq -c | tr -s '\n ' ' '; }
# Of the control plane's pool as many are there as there was to do at once in the last ten seconds.
threads() { cat "/proc/$pid"/task/*/comm | grep -cvx vs-control; }
resident_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
# replug TIMES: and what a client sees of it.
replug() {
    for _ in $(seq "$1"); do
        echo "waiting echo vivid.0 >$driver/unbind"
        echo "running echo vivid.0 >$driver/bind"
    done | outage-probe cam0 || fail "the probe"
}

load vivid n_devs=1 node_types=0x1 num_inputs=1
start_bus
export VIDEOSTREAM_DIR=$PWD/sockets
start_daemon
pid=$(pgrep -x videostreamd)
vsctl start-stream cam0 --size 320x180 --rate 10
vsctl --json receive cam0 --duration 20min --timeout 5min >received.json &
receiver=$!
vsctl record cam0 "$OUT/replugged.mp4" --duration 20min >recorded &
recorder=$!
until vsctl --json status | grep -q '"recording": 1,'; do sleep 0.2; done

# What it needs when it has been through this is what it may have at the end.
replug $warm_up >/dev/null
# A thread that has nothing to do ends after ten seconds.
sleep 11
files=$(files) threads=$(threads) memory=$(resident_kb)
replug $((cycles - warm_up)) >cycles
until [ "$(files)" -le "$files" ] && [ "$(threads)" -le "$threads" ]; do
    [ $SECONDS -lt 580 ] || fail "the daemon had $files files and $threads threads, and has $(files) and $(threads): $(names)"
    sleep 1
done
names
[ "$(names | tr ' ' '\n' | grep -A0 -B1 -x vs-control | head -n 1)" -le 8 ] || fail "the control plane has too many threads: $(names)"
echo "after $warm_up cycles: $files files, $threads threads, $memory kB; after $cycles: $(files), $(threads), $(resident_kb) kB"
[ "$(resident_kb)" -lt $((memory + 4096)) ] || fail "the daemon grows: $memory kB, then $(resident_kb) kB"

tail -n 1 cycles
echo "$cycles" >"$OUT/cycles"
awk '$1 == "running" { print $2 }' cycles | sort -n >back
echo "from bind to a frame, in ms: $(tr '\n' ' ' <back)"
expect_equal "cycles" $((cycles - warm_up)) "$(wc -l <back)"
median=$(sed -n "$(((cycles - warm_up) / 2))p" back)
echo "the median is $median ms; $(awk '$1 <= 1000' back | wc -l) of $(wc -l <back) are at most 1000 ms"
[ "$median" -le $median_max_ms ] || fail "frames are back after $median ms only"

status=$(vsctl status cam0)
echo "$status"
expect_match "outages" "outages $cycles," "$status"
kill -INT $recorder
wait $recorder || fail "the recording: $(cat recorded)"
cat recorded
kill -INT $receiver
wait $receiver || true
cat received.json
expect_match "connections of the client" '"connections": 1,' "$(cat received.json)"
gaps=$(awk -F'[:,]' '/"source_gaps"/ { print $2 + 0; exit }' received.json)
[ "$gaps" -ge "$cycles" ] || fail "the client saw $gaps gaps of $cycles outages"
lines=$(grep -c 'cam0' "$OUT/daemon-log")
echo "$lines lines in the log"
[ "$lines" -lt $((cycles * 7)) ] || fail "the log grows by $lines lines in $cycles cycles"

# Unplugged and not wanted any more, it is gone from the bus; plugged in, it is there again.
echo vivid.0 >$driver/unbind
until [ "$(state)" = waiting ]; do sleep 0.1; done
expect_match "the camera while its stream waits" '^cam0 +camera +absent' "$(vsctl devices)"
vsctl stop-stream cam0
until ! vsctl --quiet devices | grep -q cam0; do sleep 0.1; done
echo vivid.0 >$driver/bind
until vsctl --quiet devices | grep -q '^cam0 '; do sleep 0.1; done
expect_match "the stream after all" '^cam0 is running' "$(vsctl start-stream cam0)"
stop_daemon
