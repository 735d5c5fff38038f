#!/usr/bin/env bash
# Downloads what virtual machines are made of (crates/vm): Debian's kernel and busybox, as packages that are
# kept in hopline's cache and never installed. With both there it needs neither network nor root.
set -euo pipefail

packages="${XDG_CACHE_HOME:-$HOME/.cache}/hopline/packages"

# The package that depends on the current kernel, and what that one's file is named.
kernel=linux-image-cloud-amd64
kernel_file='linux-image-*-cloud-amd64_*.deb'
busybox=busybox-static
busybox_file='busybox-static_*.deb'

is_there() {
    compgen -G "$packages/$1" >/dev/null
}

current_kernel() {
    apt-cache depends --important "$kernel" | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -n 1
}

# Into a folder of its own first, so that what bears a package's name is whole.
download() {
    local wanted=() name new
    if ! is_there "$kernel_file"; then
        name="$(current_kernel)"
        [ -n "$name" ] || return 1
        wanted+=("$name")
    fi
    is_there "$busybox_file" || wanted+=("$busybox")
    echo "downloading for virtual machines, into $packages: ${wanted[*]}"
    new="$(mktemp -d "$packages/new.XXXXXX")"
    if (cd "$new" && apt-get -q download "${wanted[@]}"); then
        mv "$new"/*.deb "$packages"
    fi
    rm -r "$new"
    is_there "$kernel_file" && is_there "$busybox_file"
}

# Lists of packages that are missing or out of date name files that are not there.
update() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get -q update
}

if is_there "$kernel_file" && is_there "$busybox_file"; then
    echo "packages for virtual machines: all there"
    exit 0
fi
mkdir -p "$packages"
if command -v apt-get >/dev/null && { download || { update && download; }; }; then
    exit 0
fi
echo "Debian's $kernel (the package that it depends on) or $busybox could not be downloaded. Without a" >&2
echo "network, put the two .deb files (amd64) into $packages by hand." >&2
exit 1
