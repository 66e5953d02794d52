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
