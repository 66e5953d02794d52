# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 400
#
# Controls: what vsctl sets v4l2-ctl sees, and the other way round, which the bus tells; several
# are set all or nothing, automatics first; they are back before the first frame of a daemon that
# was restarted, and of a camera that was bound again.

. "$LIB"

cat >config.toml <<'END'
[stream.cam0]
camera = "cam0"
always-on = true
format = "NV12"
size = "320x180"
rate = 30
END
load vivid n_devs=1 node_types=0x1 num_inputs=1
start_bus
start_daemon
node=$(video_node vivid-000-vid-cap)

# value_of CONTROL: as another program sees it.
value_of() { v4l2-ctl -d "$node" --get-ctrl "$1" | sed 's/.*: //'; }
# expect_refusal STATUS REGEX ARGUMENT...: vsctl controls cam0 ARGUMENT... is refused so.
expect_refusal() {
    local status=$1 regex=$2 code=0
    shift 2
    vsctl controls cam0 "$@" >/dev/null 2>refusal || code=$?
    expect_equal "exit status of $*" "$status" $code
    expect_match "refusal of $*" "$regex" "$(cat refusal)"
}

echo "# every control, as v4l2-ctl lists it"
vsctl controls cam0 -v >"$OUT/list"
v4l2-ctl -d "$node" --list-ctrls-menus >"$OUT/v4l2-ctl-list"
# Names, numbers and types of both, apart from what this project calls compound.
names() { sed -nE 's/^ *([a-z0-9_]+) (0x[0-9a-f]{8}) \(.*/\1 \2/p' "$1"; }
expect_equal "names and numbers" "$(names "$OUT/v4l2-ctl-list")" "$(names "$OUT/list")"
expect_match "table" '^ +brightness 0x00980900 \(int\) +: min=0 max=255 step=1 default=128 value=128' "$(cat "$OUT/list")"
expect_match "menu" '^ +test_pattern 0x[0-9a-f]+ \(menu\) .*value=0 \(75% Colorbar\)' "$(cat "$OUT/list")"

echo "# the Tab key knows them"
offers() { _VSCTL_COMPLETE=fish vsctl -- vsctl controls "$@" | cut -f1; }
# offered WANTED ARGUMENT...: names come soon or not at all, and an emulated machine is not always fast enough.
offered() {
    local wanted=$1 seen
    shift
    for _ in $(seq 20); do
        seen=$(offers "$@")
        [ "$seen" != "$wanted" ] || return 0
    done
    fail "$*: wanted '$wanted', got '$seen'"
}
offered cam0 ''
offered brightness= cam0 bri

echo "# a stream tells what others change"
vsctl start-stream cam0 --size 320x180 --rate 30
dbus-monitor --address "$VIDEOSTREAM_BUS" "type='signal',member='ControlChanged'" >"$OUT/signals" &
monitor=$!
until grep -q NameAcquired "$OUT/signals"; do sleep 0.1; done
until grep -q 'string "hue"' "$OUT/signals"; do
    # The watch begins after the stream.
    v4l2-ctl -d "$node" --set-ctrl hue=-$((RANDOM % 100 + 1))
    sleep 0.5
done
kill $monitor
wait $monitor || true
vsctl stop-stream cam0

echo "# set here, seen there"
vsctl controls cam0 brightness=200 "Horizontal Flip=on" menu="Menu Item 4" integer_64_bits=-5 bitmask=0x80002000 string='ab  '
expect_equal brightness 200 "$(value_of brightness)"
expect_equal horizontal_flip 1 "$(value_of horizontal_flip)"
expect_equal menu 4 "$(value_of menu | cut -d' ' -f1)"
expect_equal integer_64_bits -5 "$(value_of integer_64_bits)"
# v4l2-ctl reads it as a signed number here.
expect_equal bitmask 0x80002000 "$(printf '%#x' $(($(value_of bitmask) & 0xffffffff)))"
expect_equal string "'ab  '" "$(value_of string)"
vsctl controls cam0 button=

echo "# set there, seen here"
v4l2-ctl -d "$node" --set-ctrl contrast=99
expect_match contrast 'contrast .* value=99( |$)' "$(vsctl controls cam0 contrast)"

echo "# refusals: nothing is set, and the message says what would be right"
expect_refusal 4 "no control 'brigthness': did you mean brightness" saturation=1 brigthness=1
expect_refusal 1 '300 is out of range: it takes 0 to 255' saturation=1 brightness=300
expect_refusal 1 "'loud' is not understood: it takes 0 to 255" saturation=1 brightness=loud
expect_refusal 1 "'gain' is inactive: gain_automatic rules it" saturation=1 gain=50
expect_refusal 1 "'read_only_integer_32_bits' cannot be set" saturation=1 read_only_integer_32_bits=1
expect_refusal 2 'given two values' saturation=1 saturation=2
expect_equal saturation 128 "$(value_of saturation)"

echo "# automatics first, however they are written"
vsctl controls cam0 gain=50 gain_automatic=off
expect_equal gain_automatic 0 "$(value_of gain_automatic)"
expect_equal gain 50 "$(value_of gain)"

echo "# remembered: across a restart of the daemon"
# White at this brightness is the most that there is; without one of the three it is less.
vsctl controls cam0 test_pattern="100% White" osd_text_mode=None
cat state/controls/cam0.toml
end_daemon
v4l2-ctl -d "$node" --set-ctrl brightness=1,horizontal_flip=0,gain_automatic=1,test_pattern=0,osd_text_mode=0
start_daemon --config config.toml
vsctl receive cam0 --frames 1
expect_equal brightness 200 "$(value_of brightness)"
expect_equal horizontal_flip 1 "$(value_of horizontal_flip)"
expect_equal gain_automatic 0 "$(value_of gain_automatic)"
expect_equal gain 50 "$(value_of gain)"
expect_match "log" 'remembered controls are set.* set=10' "$(tail -n 20 "$OUT/daemon-log")"

echo "# and of the camera: the first frame after each is as it was adjusted"
driver=/sys/bus/platform/drivers/vivid
end_daemon
echo vivid.0 >$driver/unbind
start_daemon --config config.toml
expect_match "without its camera" '^cam0 +waiting' "$(vsctl --quiet status cam0)"
# A client that waits for the camera, and stays.
frame-probe "$PWD/sockets/cam0" 100000 >"$OUT/replugged" &
probe=$!
until vsctl status cam0 | grep -q frame-probe; do sleep 0.2; done
echo vivid.0 >$driver/bind
until [ "$(wc -l <"$OUT/replugged")" -ge 5 ]; do sleep 0.2; done
echo vivid.0 >$driver/unbind
until vsctl --quiet status cam0 | grep -qE '^cam0 +waiting'; do sleep 0.2; done
seen=$(wc -l <"$OUT/replugged")
echo vivid.0 >$driver/bind
until [ "$(wc -l <"$OUT/replugged")" -ge $((seen + 5)) ]; do sleep 0.2; done
kill $probe
wait $probe || true
expect_match "the very first frame" '^serial 1 sequence 0 .* mean 235$' "$(head -n 1 "$OUT/replugged")"
again=$(sed -n "$((seen + 1))p" "$OUT/replugged")
echo "first after the replug: $again"
expect_match "the first one after the replug" ' sequence 0 flags GAP .* mean 235$' "$again"
expect_equal "frames that are not white" 0 "$(grep -vc ' mean 235$' "$OUT/replugged" || true)"
node=$(video_node vivid-000-vid-cap)
expect_equal "times that this is said" 2 "$(grep -c 'remembered controls are set' "$OUT/daemon-log")"
vsctl stop-stream cam0

echo "# for now only, and forgotten"
vsctl controls cam0 brightness=10 --no-remember
vsctl start-stream cam0
expect_equal brightness 200 "$(value_of brightness)"
vsctl stop-stream cam0
vsctl controls cam0 brightness --reset
expect_equal brightness 128 "$(value_of brightness)"
vsctl controls cam0 --reset >/dev/null
expect_equal test_pattern 0 "$(value_of test_pattern | cut -d' ' -f1)"
expect_equal horizontal_flip 0 "$(value_of horizontal_flip)"
expect_equal gain_automatic 1 "$(value_of gain_automatic)"
expect_match "state" '^\[controls\]$' "$(cat state/controls/cam0.toml)"
expect_equal "what is still remembered" "" "$(grep "=" state/controls/cam0.toml || true)"

echo "# a file that is rubbish is no obstacle"
vsctl controls cam0 contrast=77
end_daemon
head -c 40 /dev/urandom >state/controls/cam0.toml
start_daemon
vsctl start-stream cam0
vsctl controls cam0 contrast=78
expect_match "state" '^contrast = 78$' "$(cat state/controls/cam0.toml)"
stop_daemon
