# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 500
#
# A camera is unplugged and plugged in again and again, under a client and a recording: neither is
# ended, frames are back each time, and the daemon is as it was. replug.judge.sh looks at the file.

. "$LIB"

cycles=25
pdev=vivid.0
driver=/sys/bus/platform/drivers/vivid

state() { vsctl --json status cam0 | awk -F'"' '$2 == "state" { print $4; exit }'; }
files() { find "/proc/$pid/fd" -type l | wc -l; }
threads() { find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l; }
resident_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }

load vivid n_devs=1 node_types=0x1 num_inputs=1
start_bus
start_daemon --state-dir "$PWD/state"
pid=$(pgrep -x videostreamd)
vsctl start-stream cam0 --size 320x180 --rate 15
vsctl --json receive cam0 --duration 10min --timeout 5min >received.json &
receiver=$!
vsctl record cam0 "$OUT/replugged.mp4" --duration 10min >recorded &
recorder=$!
until [ "$(vsctl --json status cam0 | grep -c '"name": "vsctl')" -ge 1 ]; do sleep 0.2; done

cycle() {
    echo $pdev >$driver/unbind
    until [ "$(state)" = waiting ]; do sleep 0.1; done
    echo $pdev >$driver/bind
    until [ "$(state)" = running ]; do sleep 0.1; done
}

# What it needs when it has been through this is what it may have at the end.
for _ in 1 2 3; do cycle; done
sleep 11
files=$(files) threads=$(threads) memory=$(resident_kb)
for _ in $(seq 4 $cycles); do cycle; done
# A thread that has nothing to do ends after ten seconds.
until [ "$(files)" -le "$files" ] && [ "$(threads)" -le "$threads" ]; do
    [ $SECONDS -lt 460 ] || fail "the daemon had $files files and $threads threads, and has $(files) and $(threads)"
    sleep 1
done
echo "after 3 cycles: $files files, $threads threads, $memory kB; after $cycles: $(files), $(threads), $(resident_kb) kB"
[ "$(resident_kb)" -lt $((memory + 4096)) ] || fail "the daemon grows: $memory kB, then $(resident_kb) kB"
sleep 2

status=$(vsctl status cam0)
echo "$status"
expect_match "outages" "outages $cycles" "$status"
kill -INT $recorder
wait $recorder || fail "the recording: $(cat recorded)"
cat recorded
kill -INT $receiver
wait $receiver || true
cat received.json
expect_match "connections of the client" '"connections": 1,' "$(cat received.json)"
expect_match "gaps that the client saw" "\"source_gaps\": ([${cycles:0:1}-9][0-9]|[0-9]{3})" "$(cat received.json)"
lines=$(grep -c 'cam0' "$OUT/daemon-log")
echo "$lines lines in the log"
[ "$lines" -lt $((cycles * 8 + 20)) ] || fail "the log grows by $lines lines in $cycles cycles"

# Unplugged and not wanted any more, it is gone from the bus; plugged in, it is there again.
echo $pdev >$driver/unbind
until [ "$(state)" = waiting ]; do sleep 0.1; done
expect_match "the camera while its stream waits" '^cam0 +camera +absent' "$(vsctl devices)"
vsctl stop-stream cam0
until ! vsctl --quiet devices | grep -q cam0; do sleep 0.1; done
echo $pdev >$driver/bind
until vsctl --quiet devices | grep -q '^cam0 '; do sleep 0.1; done
expect_match "the stream after all" '^cam0 is running' "$(vsctl start-stream cam0)"
stop_daemon
