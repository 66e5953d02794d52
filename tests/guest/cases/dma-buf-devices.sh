# SPDX-License-Identifier: Apache-2.0
# init: lean systemd
# timeout: 20
#
# What DmaBufs are made with.

. "$LIB"

[ -c /dev/dma_heap/system ] || fail "no /dev/dma_heap/system"
[ -c /dev/udmabuf ] || fail "no /dev/udmabuf"
