# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# prepare - packages, kernel and initramfs images of the lab, cached in build/lab.
#
# Each product is made in a temporary place and renamed, so that what is there is whole; a stamp
# beside it says what it was made from.

host_packages="qemu-system-x86 qemu-utils cpio busybox-static zstd xz-utils kmod e2fsprogs fdisk dmsetup fio binutils"

# Unpacked, not installed: Xen and a kernel, without boot loader hooks.
lab_packages="xen-hypervisor-4.17-amd64 xen-utils-4.17 xen-utils-common xenstore-utils
	libxenmisc4.17 libxencall1 libxendevicemodel1 libxenevtchn1 libxenforeignmemory1
	libxengnttab1 libxenhypfs1 libxenstore4 libxentoolcore1 libxentoollog1 libyajl2
	libncurses6 libtinfo6 grub-xen-host"

dom0_modules="nvme ext4 crc32c_generic loop dm-mod xen-evtchn xen-gntalloc xen-gntdev xen-privcmd xenfs xen-blkback xen-blkfront"
guest_modules="xen-blkfront ext4 crc32c_generic xen-evtchn xen-gntalloc"

say_step() {
	echo "# lab: $*"
}

# The kernel package that linux-image-amd64 stands for today.
kernel_package() {
	apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1
}

prepare_packages() {
	local package missing=()
	for package in $host_packages; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] || "$top/tests/deps" --packages "${missing[@]}"
}

prepare_debs() {
	# Whole, and of these packages.
	[ "$(cat "$cache/root/.complete" 2>/dev/null)" = "$lab_packages" ] && return
	say_step "fetching Debian's Xen and kernel"
	rm -rf "$cache/debs" "$cache/root.tmp"
	mkdir -p "$cache/debs" "$cache/root.tmp"
	[ -n "$(kernel_package)" ] || "$top/tests/deps" --update
	# shellcheck disable=SC2086
	(cd "$cache/debs" && {
		apt-get download -q $lab_packages "$(kernel_package)" >apt.log 2>&1 ||
			{ "$top/tests/deps" --update &&
				apt-get download -q $lab_packages "$(kernel_package)" >apt.log 2>&1; } ||
			{ cat apt.log; exit 1; }
	}) || return
	local deb
	for deb in "$cache"/debs/*.deb; do
		dpkg -x "$deb" "$cache/root.tmp" || return
	done
	rm -rf "$cache/debs" "$cache/root.tmp"/usr/share/{doc,man}
	echo "$lab_packages" >"$cache/root.tmp/.complete"
	rm -rf "$cache/root"
	mv "$cache/root.tmp" "$cache/root"
}

# Takes the uncompressed kernel out of the bzImage (boot protocol: setup_sects at 0x1f1,
# payload_offset at 0x248, payload_length at 0x24c): Xen and xl then have nothing to decompress.
extract_vmlinux() {
	local image=$1 out=$2 sects offset length
	sects=$(od -An -tu1 -j $((0x1f1)) -N1 "$image")
	offset=$(od -An -tu4 -j $((0x248)) -N4 "$image")
	length=$(od -An -tu4 -j $((0x24c)) -N4 "$image")
	tail -c +$(((sects + 1) * 512 + offset + 1)) "$image" | head -c "$((length))" |
		xz -dc --single-stream 2>/dev/null >"$out.tmp"
	strip -s "$out.tmp" -o "$out" && rm "$out.tmp"
}

# copy_libs ROOT PROGRAM... - the shared libraries of programs, of the lab's packages or the host's.
copy_libs() {
	local root=$1 lib
	shift
	mkdir -p "$root/lib/x86_64-linux-gnu" "$root/lib64"
	LD_LIBRARY_PATH=$cache/root/usr/lib/x86_64-linux-gnu:$cache/root/lib/x86_64-linux-gnu:$cache/root/usr/lib/xen-4.17/lib/x86_64-linux-gnu \
		ldd "$@" 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | sort -u |
		while read -r lib; do
			case $lib in
			*/ld-linux*) cp -uL "$lib" "$root/lib64/" ;;
			*) cp -uL "$lib" "$root/lib/x86_64-linux-gnu/" ;;
			esac
		done
}

# copy_modules ROOT MODULE... - kernel modules with all that they need.
copy_modules() {
	local root=$1 module file to
	shift
	for module in "$@"; do
		modprobe -d "$cache/root" -S "$kernel" -D "$module" 2>/dev/null |
			sed -n 's/^insmod \([^ ]*\).*/\1/p' |
			while read -r file; do
				to=$root/${file#"$cache/root/"}
				mkdir -p "$(dirname "$to")"
				cp -u "$file" "$to"
			done
	done
	cp "$cache/root/lib/modules/$kernel"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$kernel/"
	depmod -b "$root" "$kernel"
}

# pack ROOT FILE - an initramfs of what is below ROOT.
pack() {
	(cd "$1" && find . | cpio -oH newc -R 0:0 --quiet) | zstd -q -3 >"$2"
}

make_guest_image() {
	local root=$1/guest
	mkdir -p "$root"/{bin,proc,sys,dev,mnt,etc,tmp}
	cp /bin/busybox /bin/bash "$root/bin/"
	cp /bin/dd "$root/bin/dd.coreutils"
	cp /sbin/mke2fs "$root/bin/mkfs.ext4"
	cp /sbin/e2fsck "$root/bin/"
	install -m 755 "$lab_dir/lib/guest-init" "$root/init"
	copy_modules "$root" $guest_modules
	copy_libs "$root" /bin/bash /bin/dd /sbin/mke2fs /sbin/e2fsck
	pack "$root" "$1/guest.img"

	root=$1/fio
	mkdir -p "$root/bin"
	cp /usr/bin/fio "$root/bin/"
	copy_libs "$root" /usr/bin/fio
	pack "$root" "$1/fio.img"
}

make_dom0_image() {
	local root=$1/dom0 xen=$cache/root/usr/lib/xen-4.17/bin tool
	mkdir -p "$root"/{bin,sbin,boot,proc,sys,dev,mnt,run,tmp,etc/xen/scripts,var/lib/xen,lab}
	ln -s /run "$root/var/run"
	touch "$root/etc/xen/xl.conf"
	cp /bin/busybox /bin/bash "$root/bin/"
	cp /sbin/mke2fs "$root/bin/mkfs.ext4"
	cp /sbin/dmsetup "$root/bin/"
	mkdir -p "$root/usr/lib/xen-4.17/bin"
	for tool in xl xenstored xen-init-dom0 xenconsoled libxl-save-helper lsevtchn xentop; do
		cp "$xen/$tool" "$root/usr/lib/xen-4.17/bin/"
		ln -s "/usr/lib/xen-4.17/bin/$tool" "$root/bin/$tool"
	done
	cp "$cache"/root/usr/bin/xenstore-{read,ls,write,list,rm,exists} "$root/bin/"
	install -m 755 "$lab_dir/lib/dom0-init" "$root/init"
	cp "$1/vmlinux" "$root/boot/"
	cp "$1/guest.img" "$root/boot/guest-base.img"
	cp "$cache/root/usr/lib/grub-xen/grub-x86_64-xen.bin" "$root/boot/pv-grub"
	cp "$cache/root/usr/lib/grub-xen/grub-i386-xen_pvh.bin" "$root/boot/grub-32"
	copy_modules "$root" $dom0_modules
	copy_libs "$root" /bin/bash /sbin/mke2fs /sbin/dmsetup "$root"/usr/lib/xen-4.17/bin/* "$root"/bin/xenstore-*
	# xl loads it by name, for pthread_cancel().
	cp -L /lib/x86_64-linux-gnu/libgcc_s.so.1 "$root/lib/x86_64-linux-gnu/"
	pack "$root" "$1/dom0.img"
}

# What the images are made from, beside the packages.
images_stamp() {
	cat "$lab_dir"/lib/{prepare.sh,dom0-init,guest-init} | sha256sum
	echo "$kernel"
}

prepare_images() {
	local tmp=$cache/images.tmp
	kernel=$(basename "$cache"/root/lib/modules/*)
	[ -f "$cache/images/stamp" ] && [ "$(images_stamp)" = "$(cat "$cache/images/stamp")" ] && return
	say_step "making dom0 and guest images"
	rm -rf "$tmp"
	mkdir -p "$tmp"
	depmod -b "$cache/root" "$kernel"
	zcat "$cache/root/boot/xen-4.17-amd64.gz" >"$tmp/xen.elf"
	extract_vmlinux "$cache/root/boot/vmlinuz-$kernel" "$tmp/vmlinux" || return
	# A shell of its own: in this one, called as a condition, "set -e" would mean nothing, and what
	# is half made would be taken for whole.
	cache=$cache lab_dir=$lab_dir kernel=$kernel bash -euo pipefail -c \
		'. "$lab_dir/lib/prepare.sh"; make_guest_image "$1"; make_dom0_image "$1"' - "$tmp" || return
	rm -rf "$tmp"/{guest,fio,dom0}
	images_stamp >"$tmp/stamp"
	rm -rf "$cache/images"
	mv "$tmp" "$cache/images"
}

prepare() {
	mkdir -p "$cache"
	prepare_packages && prepare_debs && prepare_images ||
		{ echo "Bail out! the lab could not be prepared"; return 1; }
}
