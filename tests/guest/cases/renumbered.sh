# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 120
#
# A camera comes back, and its node's number has gone to another one before udev says so: that other
# one is neither shown nor adjusted in its place.

. "$LIB"

# Far longer than an emulated machine takes for anything here.
patience=60

# await EXTENDED_REGEX: until the stream's status says so.
await() {
    local until=$((SECONDS + patience))
    until grep -qE -- "$1" <<<"$(vsctl status s1)"; do
        [ $SECONDS -lt $until ] || fail "nothing matches '$1' in: $(vsctl status s1)"
        sleep 0.2
    done
}
brightness() { v4l2-ctl -d "$(video_node "vivid-00$1-vid-cap")" --get-ctrl brightness; }

load vivid n_devs=3 node_types=0x1,0x1,0x1 num_inputs=1,1,1
before=$(video_node vivid-001-vid-cap)
printf '[stream.s1]\ncamera = "cam1"\nsize = "320x180"\nrate = 10\nalways-on = true\n' >config.toml
start_bus
start_daemon --config config.toml
await ' running '
vsctl controls cam1 brightness=222 >/dev/null

# Nodes come without udev; what they are, nobody is told.
udevadm control --stop-exec-queue
echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
modprobe vim2m
echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
await 'another device'
other=$(for entry in /sys/class/video4linux/*; do [ "/dev/${entry##*/}" != "$before" ] || cat "$entry/name"; done)
echo "$before is $other now"
[ "$other" != vivid-001-vid-cap ] || fail "the numbers have not changed"
# shellcheck disable=SC2154 # lib.sh sets daemon
expect_equal "descriptors of the other one" 0 "$(find "/proc/$daemon/fd" -lname "$before" | wc -l)"

udevadm control --start-exec-queue
udevadm settle
await ' running '
after=$(video_node vivid-001-vid-cap)
# shellcheck disable=SC2154
[ -n "$(find "/proc/$daemon/fd" -lname "$after")" ] || fail "the stream runs without its camera"
expect_equal "brightness of the three" "brightness: 128 brightness: 222 brightness: 128" \
    "$(brightness 0) $(brightness 1) $(brightness 2)"
stop_daemon
