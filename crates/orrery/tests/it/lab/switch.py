"""A switch in user space: hosts in network namespaces, and links between them that are as bad as a test wants.

Kernels without netem cannot delay or lose packets, so this program does it: every host has a TUN device whose
other end is a file descriptor here, and each packet goes from one descriptor to another by its destination.

    switch.py SEED HOST...

It makes one namespace per host and a device in the namespace it was started in, which is a host named `test`.
The first line it prints is a JSON object {"hosts": {name: {"address", "namespace"}}}, or {"error": text}. Then each
line on standard input is a command, and each gets one line in answer that begins with `ok` or `error`:

    link A B key=value...   both directions; what is not named stays as it is
    way A B key=value...    from A to B only
    heal                    all links as they were in the beginning
    stats                   ok, then a JSON list with an object per direction that carried packets

    delay_ms, jitter_ms     each packet waits delay plus 0..jitter; packets of a direction stay in order
    loss, duplicate         probability for each packet, 0..1, decided by a generator that SEED and the names fix
    rate                    bytes a second, 0 for no limit; more than half a second of waiting packets is lost
    cut                     1 loses everything

When standard input ends, or a signal asks for it, it ends what still runs in its namespaces and removes them.
"""

import collections
import fcntl
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI, IFF_TUN_EXCL = 0x0001, 0x1000, 0x8000
MTU = 1500
# Packets read of one host before the others have their turn.
TURN = 64
# What a link with a rate keeps waiting, in seconds of that rate.
MAX_WAIT = 0.5
# Connection attempts that are remembered to tell a repeated SYN from a new one.
REMEMBERED = 4096
PREFIX = "orrery-lab-"
SETTINGS = {"delay_ms": 0.0, "jitter_ms": 0.0, "loss": 0.0, "duplicate": 0.0, "rate": 0.0, "cut": 0.0}


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def open_tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL))
    except OSError:
        os.close(fd)
        raise
    return fd


def claim_subnet():
    """The number of a subnet nobody has, and its device here: the kernel gives a name to one only."""
    first = os.getpid() % 256
    for i in range(256):
        number = (first + i) % 256
        try:
            return number, open_tun(f"orlab{number}")
        except OSError as e:
            if e.errno != 16:
                raise
    raise OSError("256 laboratories are running")


def remove_namespace(name):
    try:
        for pid in ip("netns", "pids", name).split():
            os.kill(int(pid), signal.SIGKILL)
    except OSError:
        pass
    try:
        ip("netns", "del", name)
    except OSError:
        pass


def sweep():
    """Removes what a switch left that was killed."""
    for line in ip("netns", "list").splitlines():
        name = line.split()[0] if line.split() else ""
        pid = name[len(PREFIX):].split("-")[0] if name.startswith(PREFIX) else ""
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                alive = b"switch.py" in f.read()
        except OSError:
            alive = False
        if not alive:
            remove_namespace(name)


class Host:
    def __init__(self, name, fd, address, namespace):
        self.name, self.fd, self.address, self.namespace = name, fd, address, namespace


class Way:
    """One direction of a link."""

    def __init__(self, seed, source, target):
        self.source, self.target = source, target
        self.random = random.Random(f"{seed}/{source}/{target}").random
        self.packets = self.bytes = self.lost = self.duplicated = 0
        self.opened = {}
        self.seen = collections.OrderedDict()
        self.heal()

    def heal(self):
        self.settings = dict(SETTINGS)
        self.plain = True
        self.free_at = self.last_due = 0.0

    def set(self, changes):
        self.settings.update(changes)
        self.plain = self.settings == SETTINGS and self.last_due <= time.monotonic()

    def count(self, packet):
        self.packets += 1
        self.bytes += len(packet)
        if packet[9] != 6:
            return
        at = (packet[0] & 15) * 4
        if len(packet) < at + 14 or packet[at + 13] & 0x12 != 0x02:
            return
        attempt = bytes(packet[at:at + 8])
        if attempt in self.seen:
            return
        self.seen[attempt] = None
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        port = packet[at + 2] << 8 | packet[at + 3]
        self.opened[port] = self.opened.get(port, 0) + 1

    def due(self, packet, now):
        """When the packet arrives, once for each copy of it."""
        s = self.settings
        if s["cut"] or (s["loss"] and self.random() < s["loss"]):
            self.lost += 1
            return []
        at = now
        if s["rate"]:
            at = max(now, self.free_at)
            if at - now > MAX_WAIT:
                self.lost += 1
                return []
            at = self.free_at = at + len(packet) / s["rate"]
        at += s["delay_ms"] / 1000
        if s["jitter_ms"]:
            at += self.random() * s["jitter_ms"] / 1000
        self.last_due = at = max(at, self.last_due)
        if s["duplicate"] and self.random() < s["duplicate"]:
            self.duplicated += 1
            return [at, at]
        return [at]

    def stats(self):
        return {
            "from": self.source, "to": self.target, "packets": self.packets, "bytes": self.bytes,
            "lost": self.lost, "duplicated": self.duplicated,
            "opened": {str(port): n for port, n in self.opened.items()},
        }


class Switch:
    def __init__(self, seed, names):
        self.hosts, self.by_fd, self.by_address, self.ways = {}, {}, {}, {}
        self.seed = seed
        self.waiting, self.sent = [], 0
        self.input = b""
        sweep()
        self.number, fd = claim_subnet()
        self.add(Host("test", fd, f"10.214.{self.number}.1", None))
        device = f"orlab{self.number}"
        ip("addr", "add", f"10.214.{self.number}.1/24", "dev", device)
        ip("link", "set", device, "mtu", str(MTU), "txqueuelen", "5000", "up")
        for i, name in enumerate(names):
            self.open(i + 2, name)

    def open(self, last, name):
        namespace = f"{PREFIX}{os.getpid()}-{name}"
        device, address = f"orlab{self.number}h{last}", f"10.214.{self.number}.{last}"
        fd = open_tun(device)
        ip("netns", "add", namespace)
        self.add(Host(name, fd, address, namespace))
        ip("link", "set", device, "netns", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
        ip("-n", namespace, "link", "set", device, "mtu", str(MTU), "txqueuelen", "5000", "up")

    def add(self, host):
        if host.name in self.hosts:
            raise OSError(f"two hosts are named {host.name}")
        self.hosts[host.name] = host
        self.by_fd[host.fd] = host
        self.by_address[socket.inet_aton(host.address)] = host

    def close(self):
        for host in self.hosts.values():
            if host.namespace:
                remove_namespace(host.namespace)

    def way(self, source, target):
        key = source, target
        if key not in self.ways:
            for name in key:
                if name not in self.hosts:
                    raise ValueError(f"no host is named {name}")
            self.ways[key] = Way(self.seed, source, target)
        return self.ways[key]

    def drain(self, host):
        for _ in range(TURN):
            try:
                packet = os.read(host.fd, 65536)
            except OSError:
                return
            if len(packet) < 20 or packet[0] >> 4 != 4:
                continue
            target = self.by_address.get(packet[16:20])
            if target is None:
                continue
            way = self.ways.get((host.name, target.name)) or self.way(host.name, target.name)
            way.count(packet)
            if way.plain:
                self.put(target.fd, packet)
                continue
            now = time.monotonic()
            for at in way.due(packet, now):
                # Equal times leave in the order they came.
                self.sent += 1
                heapq.heappush(self.waiting, (at, self.sent, target.fd, packet))

    def put(self, fd, packet):
        try:
            os.write(fd, packet)
        except OSError:
            pass

    def release(self):
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, _, fd, packet = heapq.heappop(self.waiting)
            self.put(fd, packet)

    def command(self, line):
        words = line.split()
        match words:
            case ["stats"]:
                ways = [way.stats() for way in self.ways.values() if way.packets]
                return "ok " + json.dumps(ways)
            case ["heal"]:
                for way in self.ways.values():
                    way.heal()
                return "ok"
            case ["link", a, b, *changes]:
                read = settings(changes)
                self.way(a, b).set(read)
                self.way(b, a).set(read)
                return "ok"
            case ["way", a, b, *changes]:
                self.way(a, b).set(settings(changes))
                return "ok"
        raise ValueError(f"not a command: {line}")

    def read_commands(self):
        """False when there will be no more."""
        more = os.read(0, 65536)
        self.input += more
        *lines, self.input = self.input.split(b"\n")
        for line in lines:
            try:
                answer = self.command(line.decode())
            except ValueError as e:
                answer = f"error {e}"
            print(answer, flush=True)
        return bool(more)

    def run(self):
        poll = select.epoll()
        poll.register(0, select.EPOLLIN)
        for fd in self.by_fd:
            poll.register(fd, select.EPOLLIN)
        while True:
            wait = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else -1
            for fd, _ in poll.poll(wait):
                if fd in self.by_fd:
                    self.drain(self.by_fd[fd])
                elif not self.read_commands():
                    return
            self.release()


def settings(changes):
    read = {}
    for change in changes:
        key, _, value = change.partition("=")
        if key not in SETTINGS:
            raise ValueError(f"not a setting of a link: {change}")
        read[key] = float(value)
    return read


def end(*_):
    raise SystemExit(0)


def main():
    # Not a child of a terminal's interrupt: the one who started it closes its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    # A network does not slow down because its hosts are busy.
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -5)
    except OSError:
        pass
    switch = Switch.__new__(Switch)
    try:
        try:
            switch.__init__(sys.argv[1], sys.argv[2:])
        except OSError as e:
            print(json.dumps({"error": str(e)}), flush=True)
            return
        hosts = {h.name: {"address": h.address, "namespace": h.namespace} for h in switch.hosts.values()}
        print(json.dumps({"hosts": hosts}), flush=True)
        switch.run()
    finally:
        switch.close()


if __name__ == "__main__":
    main()
