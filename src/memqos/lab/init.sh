#!/bin/sh
# The guest's first program; memqos.lab.initramfs fills in what is between @ signs.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "memqos: init"
@LOADS@
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose memqos-root /host || echo "memqos: no root"
mount -t tmpfs -o mode=755 tmpfs /tmpfs
mkdir -p /tmpfs/upper /tmpfs/work
mount -t overlay -o lowerdir=/host,upperdir=/tmpfs/upper,workdir=/tmpfs/work overlay /root || echo "memqos: no overlay"
mkdir -p /root/proc /root/sys /root/dev /root/run /root/tmp
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
mkdir -p /root/dev/shm /root/dev/pts
mount -t tmpfs -o mode=755 tmpfs /root/run
mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
mount -t devpts devpts /root/dev/pts
mkdir -p /root@SHARE@
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=none memqos-share /root@SHARE@ || echo "memqos: no share"
ip link set lo up
cat > /bin/run <<'END'
#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
@EXPORTS@cd /tmp
@COMMAND@
END
clock() {
    echo "$(cut -d' ' -f1 /root/proc/uptime) $(cat /root/sys/class/rtc/rtc0/since_epoch)" >> /root@SHARE@/clock
}
echo "memqos: start"
clock
chroot /root /bin/sh -s < /bin/run
status=$?
clock
echo $status > /root@SHARE@/status.new && mv /root@SHARE@/status.new /root@SHARE@/status
sync
echo "memqos: status $status"
poweroff -f
sleep 60
