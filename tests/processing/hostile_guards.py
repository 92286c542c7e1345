"""What an attacked process must not do, watched from where it cannot look away.

a socket to the network, another program    seccomp(2) ends the process at once, whoever asks: Python, GDAL or PROJ
a file opened by Python                     an audit hook notes every one outside the folders that are allowed
a file opened by anybody                    inotify(7) on folders that hold what an attacker would like to read
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

IN_OPEN = 0x20
"""inotify(7)"""

FORBIDDEN = {
    "x86_64": (0xC000003E, (59, 322), 41, 317),
    "aarch64": (0xC00000B7, (221, 281), 198, 277),
}
"""Of each machine: its name in the kernel, and the numbers of execve and execveat, socket, seccomp."""

STRAYING = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "os.fork", "urllib.")
LOOKING = ("open", "os.listdir", "os.scandir")


def without_network() -> bool:
    """End this process where it asks for an internet socket or starts a program; False where the kernel cannot."""
    if sys.platform != "linux" or platform.machine() not in FORBIDDEN:
        return False
    audit, programs, socket, seccomp = FORBIDDEN[platform.machine()]
    load, equal, back = 0x20, 0x15, 0x06
    kill, allow = 0x80000000, 0x7FFF0000
    # number, architecture and first argument lie at bytes 0, 4 and 16 of what the filter sees: seccomp(2)
    code = [
        (load, 0, 0, 4), (equal, 1, 0, audit), (back, 0, 0, kill),
        (load, 0, 0, 0), (equal, 5, 0, programs[0]), (equal, 4, 0, programs[1]), (equal, 0, 4, socket),
        (load, 0, 0, 16), (equal, 1, 0, 2), (equal, 0, 1, 10),  # AF_INET, AF_INET6
        (back, 0, 0, kill), (back, 0, 0, allow),
    ]  # fmt: skip
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    wanted = Filter(len(code), ctypes.addressof(program))
    set_no_new_privileges, by_filter, all_threads = 38, 1, 1
    return (
        libc.prctl(set_no_new_privileges, 1, 0, 0, 0) == 0
        and libc.syscall(seccomp, by_filter, all_threads, ctypes.byref(wanted)) == 0
    )


class Strays:
    """What Python did that it should not have done. An audit hook stays for as long as the process lives."""

    def __init__(self, allowed: Iterable[Path]) -> None:
        self.allowed = tuple(str(Path(folder).resolve()) for folder in allowed)
        self.found: list[str] = []
        sys.addaudithook(self._see)

    def take(self) -> list[str]:
        """Those since the last call."""
        found, self.found = self.found, []
        return found

    def _see(self, event: str, arguments: tuple) -> None:
        if event in LOOKING:
            place = arguments[0] if arguments else None
            if isinstance(place, str | bytes | os.PathLike) and not self._is_allowed(os.fsdecode(place)):
                self.found.append(f"{event} {os.fsdecode(place)!r}")
        elif event.startswith(STRAYING) and event not in ("socket.__new__", "socket.gethostname"):
            self.found.append(f"{event} {arguments}")

    def _is_allowed(self, place: str) -> bool:
        path = os.path.realpath(place)
        return any(path == folder or path.startswith(f"{folder}/") for folder in self.allowed)


class Watch:
    """Which files of some folders are opened by anybody, this process or another."""

    def __init__(self, *folders: Path) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self.libc.inotify_init1(os.O_NONBLOCK)
        assert self.descriptor >= 0
        for folder in folders:
            assert self.libc.inotify_add_watch(self.descriptor, os.fsencode(folder), IN_OPEN) >= 0

    def opened(self) -> set[str]:
        """Names of those since the last call."""
        names = set()
        while True:
            try:
                events = os.read(self.descriptor, 65536)
            except BlockingIOError:
                return names - {""}
            while events:
                _, _, _, length = struct.unpack_from("iIII", events)
                names.add(os.fsdecode(events[16 : 16 + length].rstrip(b"\0")))
                events = events[16 + length :]

    def close(self) -> None:
        os.close(self.descriptor)
