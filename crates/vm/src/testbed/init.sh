#!/bin/busybox sh
# The first process of the machine that tests run in: does what it is told on its second serial line.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/usr/busybox
export HOME=/root TMPDIR=/tmp LANG=C HOPLINE_TEST_MACHINE=1
/usr/bin/busybox mkdir -p /usr/busybox /dev /etc /proc /root /run /sys /tmp /var/lib/misc /var/log
# Behind the real tools in PATH, for all that these do not have.
/usr/bin/busybox --install -s /usr/busybox
[ -e /usr/bin/sh ] || ln -s busybox /usr/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t tracefs tracefs /sys/kernel/tracing
ln -s /run /var/run
mkdir -p /run/netns /run/lock
cat >/etc/passwd <<END
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
END
cat >/etc/group <<END
root:x:0:
nogroup:x:65534:
END
echo "hosts: files dns" >/etc/nsswitch.conf
echo "127.0.0.1 localhost" >/etc/hosts
hostname testbed
ip link set lo up
# The first asks for nothing else, and iptables sees bridged packets as on every compute host of nova's.
modprobe -a virtio_pci virtio_blk tun br_netfilter

# Words are what they are, also with a star in them.
set -f
exec 3<>/dev/ttyS1
stty raw -echo <&3
echo "ready" >&3
while read -r token verb rest <&3; do
    case "$verb" in
    run)
        $rest </dev/null >&3 2>&3 3>&-
        ;;
    place)
        # DEVICE PATH: what the device holds becomes a program.
        path=${rest#* }
        mkdir -p "${path%/*}" && cat "/dev/${rest%% *}" >"$path" && chmod 755 "$path"
        ;;
    esac
    printf '\n%s %s\n' "$token" "$?" >&3
done
