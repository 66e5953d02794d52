# SPDX-License-Identifier: Apache-2.0
# init: systemd
# timeout: 240
# stage: packages
#
# The package of the daemon on a machine that has never seen it: installed, upgraded under a client, removed, purged.

. "$LIB"

# What the other cases bring with them must not be taken for what the package brings.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
package=(/host/packages/videostreamd_*.deb)
as_member() { setpriv --reuid=member --regid=member --init-groups "$@"; }

snapshot() { { find /etc /usr /var/lib /run/videostream -xdev 2>/dev/null || true; } | grep -Ev "$ignored" | sort; }
# What dpkg and accounts keep of everything that ever was there.
ignored='^(/var/lib/dpkg|/etc/(passwd|group|shadow|gshadow|subuid|subgid|\.pwd\.lock)|/usr/local)'
# mmdebstrap forbids services to start while it makes the image, and forgets to allow it again.
rm -f /usr/sbin/policy-rc.d
snapshot >before

load vivid n_devs=1 node_types=0x1 num_inputs=1
dpkg --install "${package[0]}" || { journalctl --no-pager -u videostreamd; fail "dpkg --install"; }

expect_equal "at the next boot" enabled "$(systemctl is-enabled videostreamd)"
[ -L /etc/systemd/system/multi-user.target.wants/videostreamd.service ] || fail "no target wants the service"
expect_equal "now" active "$(systemctl is-active videostreamd)"
expect_equal "its user" videostream "$(ps -o user= -p "$(systemctl show -P MainPID videostreamd)")"

printf '%s\n' 'u member -' 'm member video' | systemd-sysusers -
expect_match "for a member of group video" '^cam0 +camera ' "$(as_member vsctl devices)"
as_member vsctl status >/dev/null || fail "a member of group video is refused"
refused=0
setpriv --reuid=nobody --regid=nogroup --clear-groups vsctl --bus system status 2>refusal || refused=$?
[ $refused != 0 ] || fail "a stranger may call the daemon"
expect_match "what a stranger is told" 'group .?video' "$(cat refusal)"

# A client through an upgrade: the same process reads before and after it.
cat >>/etc/videostream/videostreamd.toml <<'TOML'
[stream.painted]
pattern = "bars"
size = "64x64"
rate = 5
TOML
systemctl restart videostreamd
await_client() {
    until vsctl status painted | grep -q "vsctl receive *$receiver "; do
        kill -0 "$receiver" || fail "the client ended $1: $(cat receiver-log)"
        sleep 1
    done
}
setpriv --reuid=member --regid=member --init-groups vsctl --json receive painted --reconnect >received 2>receiver-log &
receiver=$!
await_client "before the upgrade"
old=$(systemctl show -P MainPID videostreamd)
dpkg --install /host/packages/later.deb
expect_match "version" '\+later$' "$(dpkg-query -W -f '${Version}' videostreamd)"
expect_equal "after the upgrade" active "$(systemctl is-active videostreamd)"
[ "$(systemctl show -P MainPID videostreamd)" != "$old" ] || fail "the old daemon goes on"
expect_match "the administrator's configuration" '^.stream.painted.$' "$(cat /etc/videostream/videostreamd.toml)"
await_client "with the upgrade"
kill -INT $receiver
wait $receiver || fail "the client ended badly: $(cat receiver-log)"
expect_match "its frames" '"frames": [1-9]' "$(cat received)"

dpkg --remove videostreamd
expect_equal "removed" inactive "$(systemctl is-active videostreamd || true)"
[ -e /etc/videostream/videostreamd.toml ] || fail "removing took the configuration"
dpkg --purge videostreamd
snapshot >after
expect_equal "left behind" '' "$(diff before after || true)"
