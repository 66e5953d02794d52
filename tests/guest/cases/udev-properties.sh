# SPDX-License-Identifier: Apache-2.0
# init: lean systemd
# timeout: 30
#
# udevd runs its rules on new cameras: names and classes are there to be read.

. "$LIB"

load vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2
for camera in 0 1; do
    node=$(video_node vivid-00$camera-vid-cap)
    properties=$(udevadm info --query=property "$node")
    expect_match "$node" '^ID_V4L_CAPABILITIES=:.*capture:' "$properties"
    expect_match "$node" '^ID_V4L_PRODUCT=vivid' "$properties"
    expect_match "$node" '^DEVNAME=/dev/video[0-9]+' "$properties"
done
