# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 60
#
# The codec and converter drivers that we build ourselves load, with either API, and unload.

. "$LIB"

for multiplanar in 0 1; do
    load vicodec multiplanar=$multiplanar
    for function in stateful-encoder stateful-decoder; do
        node=$(video_node $function)
        expect_match "$function" "Video Memory-to-Memory$([ $multiplanar = 0 ] || echo ' Multiplanar')\$" "$(v4l2-ctl -d "$node" --info)"
    done
    modprobe -r vicodec
done

load vim2m
expect_match vim2m 'Video Memory-to-Memory$' "$(v4l2-ctl -d "$(video_node vim2m)" --info)"
