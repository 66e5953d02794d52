# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 300
#
# The encoders, decoders and converters of vs-codec on the real drivers, through either API: 300
# pictures there and back, copied and imported; drains of 0, 1 and all; flushes; forced keyframes;
# settings changed while it runs; who has no session left is passed over; a converter by itself and
# in front of an encoder; and a codec that is unbound while it works.

. "$LIB"

for multiplanar in 0 1; do
    load vicodec multiplanar=$multiplanar
    codec-probe codec frames=300 | tee -a "$OUT/codec.json"

    mkfifo unplug-$multiplanar
    codec-probe unplug >unplug-$multiplanar &
    probe=$!
    exec {said}<unplug-$multiplanar
    read -r _ <&"$said" || fail "the encoder did not start"
    echo vicodec.0 >/sys/bus/platform/drivers/vicodec/unbind
    wait "$probe" || fail "unbound: $(cat <&"$said")"
    expect_match "unbound" '"failed":"stateful-encoder.*the device is gone' "$(cat <&"$said")"
    exec {said}<&-
    modprobe -r vicodec
done

load vicodec
load vim2m
codec-probe convert format=RGB3 to=YUYV size=640x480 frames=60 | tee "$OUT/convert.json"
