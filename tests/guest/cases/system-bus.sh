# SPDX-License-Identifier: Apache-2.0
# init: lean systemd
# timeout: 20
#
# The system bus answers.

. "$LIB"

reply=$(dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId)
expect_match "reply of the bus" '^ +string "[0-9a-f]{32}"' "$reply"
