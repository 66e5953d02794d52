# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 120
#
# Every node of every driver that there is, with either API, while the daemon runs: cameras,
# encoders, decoders and converters are told apart, and what is none of them is no device. The bus
# says what comes and goes.

. "$LIB"

# kinds: what each node is taken for, in the words that its driver has for it.
kinds() {
    local entry devices
    devices=$(vsctl --quiet devices)
    for entry in /sys/class/video4linux/*; do
        printf '%s %s\n' "$(cat "$entry/name")" "$(awk -v node="/dev/${entry##*/}" '$3 == node { print $2 }' <<<"$devices")"
    done | sort | uniq -c | awk '{ print $2, $3 ? $3 : "-", "x" $1 }'
}

# expect_kinds NODES...: "NAME KIND xCOUNT" each.
expect_kinds() {
    local until=$((SECONDS + 30)) wanted
    wanted=$(printf '%s\n' "$@")
    until [ "$(kinds)" = "$wanted" ]; do
        [ $SECONDS -lt $until ] || fail "wanted '$wanted', got '$(kinds)'"
        sleep 0.2
    done
    echo "$wanted"
    echo
}

# unload MODULE: until the daemon has seen it.
unload() {
    modprobe -r "$1"
    until [ -z "$(vsctl --quiet devices)" ]; do sleep 0.2; done
}

start_bus
dbus-monitor --address "$VIDEOSTREAM_BUS" "type='signal',interface='org.freedesktop.DBus.ObjectManager'" >signals &
monitor=$!
start_daemon
# Every kind of node that vivid has.
for multiplanar in 1 2; do
    load vivid n_devs=1 node_types=0xe1d3d multiplanar=$multiplanar
    expect_kinds \
        'vivid-000-meta-cap - x1' 'vivid-000-meta-out - x1' \
        'vivid-000-rad-rx - x1' 'vivid-000-rad-tx - x1' \
        'vivid-000-sdr-cap - x1' 'vivid-000-touch-cap - x1' \
        'vivid-000-vbi-cap - x1' 'vivid-000-vbi-out - x1' \
        'vivid-000-vid-cap camera x1' 'vivid-000-vid-out - x1'
    unload vivid
done
for multiplanar in 0 1; do
    load vicodec multiplanar=$multiplanar
    expect_kinds 'stateful-decoder decoder x1' 'stateful-encoder encoder x1' 'stateless-decoder - x1'
    unload vicodec
done
load vim2m
expect_kinds 'vim2m converter x1'
unload vim2m
kill $monitor
# told MEMBER PATH: how often.
told() { grep -A1 "member=$1\$" signals | grep -c "object path \".*/$2\"" || true; }
# A device has two interfaces, each with a signal of its own; all but the converter came twice.
for object in device/cam0 stream/cam0 device/enc0 device/dec0 device/conv0; do
    case $object in
    device/conv0 | stream/*) times=2 ;;
    *) times=4 ;;
    esac
    expect_equal "InterfacesAdded and InterfacesRemoved of $object" "$times $times" \
        "$(told InterfacesAdded $object) $(told InterfacesRemoved $object)"
done
stop_daemon
