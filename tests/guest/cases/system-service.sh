# SPDX-License-Identifier: Apache-2.0
# init: systemd
# timeout: 120
#
# The service as it is installed, at the system bus, with the real policy: who may call it, and
# that it is ready when systemd says so.

. "$LIB"

load vivid n_devs=1 node_types=0x1 num_inputs=1
install -D -m 644 /host/dbus/org.videostream.VideoStream1.conf -t /etc/dbus-1/system.d
install -D -m 644 /host/systemd/videostream.sysusers /usr/lib/sysusers.d/videostream.conf
install -D -m 755 "$(command -v videostreamd)" -t /usr/bin
install -D -m 644 /host/systemd/videostreamd.service -t /etc/systemd/system
systemd-sysusers
dbus-send --system --type=method_call --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig
systemctl daemon-reload
systemctl start videostreamd.service || { journalctl --no-pager -u videostreamd; fail "the service does not start"; }

expect_match "devices" '^cam0 +camera ' "$(vsctl devices)"
expect_match "start" '^cam0 is running' "$(vsctl start-stream cam0 --size 320x240)"
expect_match "frames" '^frames +10 ' "$(vsctl receive cam0 --frames 10)"
expect_match "journal" 'stream runs' "$(journalctl --no-pager -u videostreamd)"
refused=0
setpriv --reuid=nobody --regid=nogroup --clear-groups vsctl --bus system status 2>refusal || refused=$?
[ $refused != 0 ] || fail "a stranger may call the daemon"
systemctl stop videostreamd.service
expect_equal "result of the service" success "$(systemctl show -P Result videostreamd.service)"
