#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that hopline's demo or tests use: only those whose programs are
# missing, asking nothing, and saying which. With nothing missing it needs neither network nor root.
#
#   scripts/packages.sh demo      what the lab is made of
#   scripts/packages.sh test      that, and what the tests compare with
#   scripts/packages.sh bench-correlate      what `hopline correlate` is measured beside
set -euo pipefail

# An ordinary user's PATH lacks the places where these programs are.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# Program and package. A program, because another package may provide it (busybox-static).
demo=(
    "iptables-nft iptables"
    "nft nftables"
    "dnsmasq dnsmasq-base"
    "dhcp_release dnsmasq-utils"
    "conntrack conntrack"
    "busybox busybox"
)
test=(
    "${demo[@]}"
    "ip iproute2"
    "ping iputils-ping"
    "arping iputils-arping"
    "tcpdump tcpdump"
    "tshark tshark"
    "capinfos wireshark-common"
    "ebtables ebtables"
    "arptables-legacy arptables"
    "ipset ipset"
    "ethtool ethtool"
    "sysctl procps"
    "strace strace"
    "setpriv util-linux"
    "dig bind9-dnsutils"
    "socat socat"
    "curl curl"
    "openssl openssl"
    "python3 python3"
    "qemu-system-x86_64 qemu-system-x86"
    "depmod kmod"
    "sosreport sosreport"
    "chromium chromium"
    # The servers' binaries without the service that mariadb-server would start.
    "mariadbd mariadb-server-core"
    "my_print_defaults mariadb-client-core"
    "/usr/lib/postgresql/*/bin/initdb postgresql"
)

bench_correlate=(
    "python3 python3"
    "cc gcc"
    "tshark tshark"
)

is_there() {
    case "$1" in
        /*) compgen -G "$1" >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

case "${1:-}" in
    demo) wanted=("${demo[@]}") ;;
    test) wanted=("${test[@]}") ;;
    bench-correlate) wanted=("${bench_correlate[@]}") ;;
    *)
        echo "usage: scripts/packages.sh demo|test|bench-correlate" >&2
        exit 2
        ;;
esac

# The tests take whichever Chromium there is.
for program in google-chrome chromium-headless-shell; do
    if command -v "$program" >/dev/null; then
        wanted=("${wanted[@]/#chromium chromium/$program chromium}")
    fi
done

missing=()
for entry in "${wanted[@]}"; do
    read -r program package <<<"$entry"
    is_there "$program" || missing+=("$package")
done
# A login method that the tests have MariaDB ask for is in mariadb-server, whose service nobody wants started
# here: only that one file is taken out of the package.
plugin=/usr/lib/mysql/plugin/auth_ed25519.so
wants_plugin=no
if [ "$1" = test ] && [ ! -e "$plugin" ]; then
    wants_plugin=yes
fi
if [ ${#missing[@]} -eq 0 ] && [ "$wants_plugin" = no ]; then
    echo "packages for ${1}: all there"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "missing here: ${missing[*]} (Debian's names); without apt-get, please install them by hand" >&2
    exit 1
fi
if [[ " ${missing[*]} " == *" chromium "* ]] && grep -qs '^ID=ubuntu$' /etc/os-release; then
    echo "missing here: chromium, which Ubuntu has only as a snap, and that reads no files of the tests." >&2
    echo "Please install google-chrome-stable from https://www.google.com/chrome/, then run this again." >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "missing here: ${missing[*]}; installing them needs root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "installing with ${as_root[*]:+sudo }apt-get: ${missing[*]}"

# Debian's postgresql makes and starts a database cluster unless it is told not to (pg_createcluster(8)).
# The tests start servers of their own, so it is told, for as long as apt-get runs.
no_cluster=/etc/postgresql-common/createcluster.d/hopline-tests.conf
take_back() {
    "${as_root[@]}" rm -f "$no_cluster"
    "${as_root[@]}" rmdir --ignore-fail-on-non-empty "${no_cluster%/*}"
}
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
    trap take_back EXIT
    "${as_root[@]}" mkdir -p "${no_cluster%/*}"
    echo "create_main_cluster = false" | "${as_root[@]}" tee "$no_cluster" >/dev/null
fi

# needrestart, where it is installed, would restart services that are none of our business.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y)
"${apt[@]}" update
if [ ${#missing[@]} -gt 0 ]; then
    "${apt[@]}" install --no-install-recommends "${missing[@]}"
fi
if [ "$wants_plugin" = yes ]; then
    folder="$(mktemp -d)"
    (cd "$folder" && apt-get -q download mariadb-server)
    dpkg-deb --fsys-tarfile "$folder"/mariadb-server_*.deb | "${as_root[@]}" tar -x -C / ".$plugin"
    rm -r "$folder"
fi
