#!/bin/sh
# The first process of an instance, and all that it does.
export PATH=/bin HOME=/ TERM=dumb
/bin/busybox --install -s /bin
mkdir -p /dev /etc /proc /run /sys /tmp /var/log /var/run /var/www
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

name=instance
for word in $(cat /proc/cmdline); do
    case "$word" in
    hopline.name=*) name=${word#*=} ;;
    esac
done
hostname "$name"
echo "127.0.0.1 localhost $name" >/etc/hosts

modprobe -a virtio_pci virtio_net evdev button
# The power button: somebody asks for a clean end. The path is what acpid runs for that event.
mkdir -p /etc/acpi/PWRF
printf '#!/bin/sh\npoweroff -f\n' >/etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
acpid

ip link set lo up
echo "$name" >/var/www/index.html
httpd -h /var/www
nc -ll -p 22 -e echo SSH-2.0-hopline_instance &

echo "Starting network..."
udhcpc -b -i eth0 -t 3 -T 3 -A 5 -x "hostname:$name" -s /bin/udhcpc.script

url=http://169.254.169.254/2009-04-04/meta-data/instance-id
echo "checking $url"
if id=$(timeout 4 wget -q -O - "$url"); then
    echo "successful after 1/1 tries: up $(cut -d' ' -f1 /proc/uptime). iid=$id"
else
    echo "failed to read iid from metadata. tried 1"
fi

echo "$name login: "
while true; do
    setsid cttyhack sh
done
