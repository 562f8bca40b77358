"""Where busybox puts its programs."""

from __future__ import annotations

_PLACES = {
    "/bin": (
        "sh ash busybox cat chmod chown cp date dd df dmesg echo egrep expr false fgrep grep gunzip gzip hostname kill "
        "ln ls mkdir mktemp mount mv netstat nice pidof ping printenv ps pwd rm rmdir sed sleep stat stty sync tar "
        "touch true uname usleep watch zcat"
    ),
    "/sbin": "ifconfig ip route",
    "/usr/bin": (
        "[ awk basename clear cut dirname du env expr find free head hostid id install killall less logger md5sum "
        "mkfifo nc nohup nproc nslookup od printf readlink realpath reset seq sha1sum sha256sum sort split tail tee "
        "test time timeout top tr traceroute tty uniq unlink uptime vi wc wget which who whoami xargs yes"
    ),
    "/usr/sbin": "httpd nginx",
}
DIRECTORIES = {name: directory for directory, names in _PLACES.items() for name in names.split()}
