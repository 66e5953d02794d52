# SPDX-License-Identifier: Apache-2.0
#
# Runs in a scratch root in which Debian's kernel, its headers and its source are unpacked. Debian
# builds vivid, but not the test drivers for codecs and converters: those are compiled here from the
# same source. Leaves in /out the kernel and an archive of the modules that the guest can load.

set -eu
export LC_ALL=C PATH=/usr/sbin:/usr/bin

# What the shares, the disk and the random generator need, and the drivers the tests ask for.
modules="9p 9pnet_virtio virtio-blk ext4 virtio-rng vivid vicodec vim2m"

release=$(ls /usr/lib/modules)
media=drivers/media
source=$(ls /usr/src/linux-source-*.tar.xz)
name=$(basename "$source" .tar.xz)

# An alternative, which only the package's configuration would make.
ln -sf mawk /usr/bin/awk

mkdir /build /out
xz -dc -T0 "$source" | tar -x -C /build --strip-components=1 \
    "$name/$media/v4l2-core/v4l2-mem2mem.c" "$name/$media/test-drivers"

mkdir /build/m
cd /build/m
cp "/build/$media/v4l2-core/v4l2-mem2mem.c" "/build/$media/test-drivers/vim2m.c" \
    "/build/$media/test-drivers/vicodec/"*.[ch] .
cat >Kbuild <<'KBUILD'
obj-m += v4l2-mem2mem.o vim2m.o vicodec.o
vicodec-objs := vicodec-core.o codec-fwht.o codec-v4l2-fwht.o
KBUILD
# BTF would need the kernel's vmlinux, which the headers do not have.
make -s -j"$(nproc)" -C "/usr/src/linux-headers-$release" M=/build/m CONFIG_DEBUG_INFO_BTF_MODULES= modules

tree=/usr/lib/modules/$release
mkdir "$tree/updates"
for module in *.ko; do
    strip --strip-debug -o "$tree/updates/$module" "$module"
done
depmod "$release"

# Only what the modules above need, uncompressed: unpacking is slow in an emulated machine.
guest=/guest/usr/lib/modules/$release
mkdir -p "$guest"
cp "$tree"/modules.builtin "$tree"/modules.builtin.modinfo "$tree"/modules.order "$guest/"
for module in $modules; do
    modprobe --show-depends -S "$release" "$module"
done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
    file=$(readlink -f "$file")
    to=$guest/${file#"$tree"/}
    mkdir -p "$(dirname "$to")"
    case $file in
    *.xz) xz -dc "$file" >"${to%.xz}" ;;
    *) cp "$file" "$to" ;;
    esac
done
mkdir -p /guest/lib
depmod -b /guest/usr "$release" 2>/dev/null || depmod -b /guest "$release"

cd /guest
find usr | sort | cpio -o -H newc --quiet -R 0:0 >/out/modules.cpio
cp "/boot/vmlinuz-$release" /out/vmlinuz
echo "$release" >/out/release
