# SPDX-License-Identifier: Apache-2.0
#
# Runs in the guest's root file system after its packages are installed. Takes away what costs
# memory or boot time and no test looks at, and leaves the whole as /root.cpio.

set -eu
export LC_ALL=C

rm -rf /root.sh /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info /usr/share/zoneinfo \
    /usr/share/lintian /usr/share/bash-completion /usr/share/common-licenses /usr/share/perl* \
    /usr/lib/x86_64-linux-gnu/gconv /usr/lib/udev/hwdb.d \
    /var/cache/apt /var/lib/apt /var/log/*

# Nobody logs in, nothing is kept, and there is no disk, clock or firmware to look after.
for unit in \
    getty.target getty@.service serial-getty@.service console-getty.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
    e2scrub_all.timer e2scrub_reap.service \
    remote-fs.target proc-sys-fs-binfmt_misc.automount systemd-binfmt.service \
    systemd-firstboot.service systemd-hwdb-update.service systemd-journal-catalog-update.service \
    systemd-journal-flush.service systemd-machine-id-commit.service systemd-pcrphase.service \
    systemd-pcrphase-sysinit.service systemd-pstore.service systemd-random-seed.service \
    systemd-boot-random-seed.service systemd-repart.service systemd-timesyncd.service systemd-tpm2-setup.service \
    systemd-tpm2-setup-early.service systemd-update-done.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-logind.service ldconfig.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done

echo guest >/etc/hostname
: >/etc/fstab
# Fixed, or systemd takes this for a first boot and sets things up.
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
mkdir -p /host /control

cd /
find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./root.cpio \) -print \
    -prune -o -print | grep -v '^./root.cpio$' | sort | busybox cpio -o -H newc >/root.cpio
