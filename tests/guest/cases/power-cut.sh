# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 60
# power-cuts: 3
#
# The power goes while a recording is written to an ext4 as it comes, on a disk that forgets what was
# not flushed. After the next boot the file is there and plays, and can be repaired; what it lacks at
# its end the judge compares with what had been published.

. "$LIB"

# The first boot shows that the disk forgets. Blocks of 4096 bytes, behind the file system.
flushed=16000 unflushed=16001
# block NUMBER: what is written there.
block() { dd if=/dev/vda bs=4096 skip="$1" count=1 iflag=direct status=none | tr -d '\0'; }
# write TEXT NUMBER FLAG...: past the kernel, so that the disk has it.
write() {
    printf '%-4096s' "$1" | dd of=/dev/vda bs=4096 seek="$2" count=1 iflag=fullblock oflag=direct status=none "${@:3}"
}

if [ "$BOOT" = 1 ]; then
    expect_equal "cache of the disk" "write back" "$(cat /sys/block/vda/queue/write_cache)"
    write kept $flushed conv=fsync
    write lost $unflushed
    expect_match "unflushed block before the power cut" lost "$(block $unflushed)"
    echo cut >&3
    sleep infinity
fi
if [ "$BOOT" = 2 ]; then
    expect_match "flushed block" kept "$(block $flushed)"
    expect_equal "unflushed block" "" "$(block $unflushed)"
fi

mkdir disk
mount /dev/vda disk
if [ "$BOOT" -gt 2 ]; then
    expect_match "the kernel about the disk" 'EXT4-fs \(vda\): recovery complete' "$(dmesg)"
    torn=$((BOOT - 1)).mp4
    if [ -e "disk/$torn" ]; then
        cp "disk/$torn" "$OUT"
        vsctl repair "disk/$torn" || fail "$torn cannot be repaired"
        cp "disk/$torn" "$OUT/${torn%.mp4}.repaired.mp4"
    fi
fi
if [ "$BOOT" -gt "$CUTS" ]; then
    umount disk
    exit
fi

cat >config.toml <<CONFIG
[stream.cam0]
pattern = "bars"
size = "160x120"
rate = 10
always-on = true
CONFIG
start_bus
start_daemon --config config.toml
diary sockets/cam0 >&3 &
vsctl record cam0 "disk/$BOOT.mp4" --detach || fail "no recording"
# From here on each frame is one that was to be recorded.
printf 'recording\ncut\n' >&3
wait $!
fail "the diary ended"
