#!/usr/bin/env bash
# system.sh: the system packages of the laboratory. Installs them when root, otherwise prints the
# line to run and goes on: what needs them says so itself.
set -euo pipefail
line="apt-get install -y --no-install-recommends qemu-system-x86 busybox-static cpio zstd e2fsprogs debian-archive-keyring"

ready() {
  command -v qemu-system-x86_64 && command -v cpio && command -v zstd && command -v dpkg-deb \
    && PATH=$PATH:/usr/sbin:/sbin command -v mkfs.ext4 && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] \
    && command -v busybox && ! head -c 4096 "$(command -v busybox)" | grep -aq ld-linux
} >/dev/null 2>&1

ready && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  $line -q
elif command -v apt-get >/dev/null; then
  echo "the laboratory needs system packages; run: sudo $line" >&2
else
  echo "the laboratory needs QEMU, a static busybox, zstd, e2fsprogs and Debian's archive keyring" >&2
fi
