# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the cases share. A case is a bash script which fails by ending with a non-zero code.

# fail TEXT...: ends the case.
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# expect_equal WHAT WANTED GOT
expect_equal() {
    [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}

# expect_match WHAT EXTENDED_REGEX TEXT: some line of TEXT matches.
expect_match() {
    grep -qE -- "$2" <<<"$3" || fail "$1: nothing matches '$2' in: $3"
}

# often MANY FEW: MANY in a thorough run, FEW in one that shall only see that it works.
often() {
    if [ "${THOROUGH:-}" ]; then echo "$1"; else echo "$2"; fi
}

# load MODULE PARAMETER...: with its device nodes and udev's properties in place afterwards.
load() {
    modprobe "$@" || fail "modprobe $*"
    udevadm settle || fail "udev did not settle after modprobe $*"
}

# video_node NAME: the device node of the V4L2 function with that name, e.g. vivid-000-vid-cap.
video_node() {
    local entry
    for entry in /sys/class/video4linux/*; do
        if [ "$(cat "$entry/name")" = "$1" ]; then
            echo "/dev/${entry##*/}"
            return
        fi
    done
    fail "there is no V4L2 function named $1"
}

# start_bus: a private bus, at $VIDEOSTREAM_BUS, where vsctl looks for the daemon.
start_bus() {
    export VIDEOSTREAM_BUS=unix:path=$PWD/bus
    mkfifo bus-ready
    dbus-daemon --session --nofork --nopidfile --address="$VIDEOSTREAM_BUS" --print-address=3 3>bus-ready &
    bus=$!
    read -r _ <bus-ready || fail "dbus-daemon did not start"
}

# start_daemon ARGUMENT...: on the private bus, sockets in ./sockets, state in ./state, its log kept with the case's results.
start_daemon() {
    mkdir -p sockets
    videostreamd --bus "$VIDEOSTREAM_BUS" --socket-dir "$PWD/sockets" --state-dir "$PWD/state" "$@" 2>>"$OUT/daemon-log" &
    daemon=$!
    # The daemon is on the bus when it is ready.
    until vsctl --quiet status >/dev/null 2>&1; do
        kill -0 "$daemon" 2>/dev/null || fail "the daemon ended while it started: $(tail "$OUT/daemon-log")"
        sleep 0.2
    done
}

# end_daemon: as systemd would; it must end cleanly.
end_daemon() {
    local code=0
    kill -TERM "$daemon"
    wait "$daemon" || code=$?
    expect_equal "exit status of the daemon" 0 $code
}

# stop_daemon: the same, and the bus.
stop_daemon() {
    end_daemon
    kill -TERM "$bus"
    wait "$bus" || true
}
