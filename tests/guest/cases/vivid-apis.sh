# SPDX-License-Identifier: Apache-2.0
# init: lean systemd
# timeout: 60
#
# The camera driver gives pictures through the single-planar and the multi-planar API.

. "$LIB"

load vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2 num_inputs=1,1

# stream NODE: v4l2-ctl's own exit code says nothing about whether pictures came.
stream() {
    v4l2-ctl -d "$1" --stream-mmap --stream-count=3 --stream-to=pictures >stream.log 2>&1 || fail "v4l2-ctl: $(cat stream.log)"
    size=$(v4l2-ctl -d "$1" --get-fmt-video | awk '/Size Image/ { sum += $NF } END { print sum }')
    expect_equal "bytes of 3 pictures from $1" $((3 * size)) "$(stat -c %s pictures)"
}

single=$(video_node vivid-000-vid-cap)
multi=$(video_node vivid-001-vid-cap)
expect_match "$single" '^Format Video Capture:' "$(v4l2-ctl -d "$single" --get-fmt-video)"
expect_match "$multi" '^Format Video Capture Multiplanar:' "$(v4l2-ctl -d "$multi" --get-fmt-video)"
stream "$single"
stream "$multi"
