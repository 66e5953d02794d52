# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 240
#
# Cameras that are there and cannot be had: one is held by another process, one may not be opened.
# Their streams say so and what to do, the log does not repeat it, and they run by themselves when
# it is done. Then cameras that go faster than anybody can look at them.

. "$LIB"

# The longest pause between attempts, and the time in which an emulated machine does something.
recovery=30

state() { vsctl --json status "$1" | awk -F'"' '$2 == "state" { print $4; exit }'; }
# await STREAM STATE
await() {
    local until=$((SECONDS + recovery))
    until [ "$(state "$1")" = "$2" ]; do
        [ $SECONDS -lt $until ] || fail "$1 is not $2: $(vsctl status "$1")"
        sleep 0.5
    done
}

load vivid n_devs=3 node_types=0x1,0x1,0x1 num_inputs=1,1,1
busy=$(video_node vivid-000-vid-cap)
closed=$(video_node vivid-001-vid-cap)
v4l2-ctl -d "$busy" --stream-mmap --stream-count=100000 >/dev/null 2>&1 &
holder=$!
until [ -n "$(find "/proc/$holder/fd" -lname "$busy")" ]; do sleep 0.2; done
sleep 2

for number in 0 1 2; do
    printf '[stream.s%d]\ncamera = "cam%d"\nsize = "320x180"\nrate = 10\nalways-on = true\n' $number $number
done >config.toml
start_bus
# Names are those that they have been given before.
start_daemon
end_daemon
# udev has done with it: what is changed now, it does not hear of.
chmod 0060 "$closed"
# Root, but without its right to open everything.
videostreamd() { exec setpriv --bounding-set=-dac_override,-dac_read_search videostreamd "$@"; }
start_daemon --config config.toml
unset -f videostreamd
await s0 failed
await s1 failed
await s2 running
status=$(vsctl status)
echo "$status"
expect_match "the one that is held" "$busy.*(held by another process|busy).*fuser" "$status"
expect_match "the one that may not be opened" "no permission to open $closed: add .* to group 'video'" "$status"
expect_match "its device" "no permission to open $closed: add .* to group 'video'" "$(vsctl devices -v)"
refused=0
vsctl start-stream s1 2>refusal || refused=$?
[ $refused != 0 ] || fail "s1 was started"
# A refusal ends no attempt of the stream's own: see below, where both run in the end.
vsctl start-stream s0 2>/dev/null && fail "s0 was started"
expect_match "refusal" "no permission to open $closed: add .* to group 'video'" "$(cat refusal)"

before=$(wc -l <"$OUT/daemon-log")
watched=$(often 60 20)
sleep "$watched"
lines=$(($(wc -l <"$OUT/daemon-log") - before))
echo "$lines lines in the log in $watched s"
tail -n "$lines" "$OUT/daemon-log" | cut -c1-200
[ $lines -le 4 ] || fail "a storm of $lines lines in the log"

kill $holder
wait $holder || true
await s0 running
chmod 0660 "$closed"
await s1 running

# Nodes that are gone before they are looked at. Whatever is seen of that, in the end all are there.
before=$(wc -l <"$OUT/daemon-log")
for _ in $(seq 10); do
    for change in unbind bind; do echo vivid.0 >/sys/bus/platform/drivers/vivid/$change; done
done
udevadm settle
# It is root that udev lets in.
for stream in s0 s1 s2; do await $stream running; done
echo "$(($(wc -l <"$OUT/daemon-log") - before)) lines in the log for ten quick replugs of three cameras"
devices=$(vsctl devices)
echo "$devices"
expect_equal "devices" 3 "$(grep -c '^cam[012] .*vivid' <<<"$devices")"
stop_daemon
