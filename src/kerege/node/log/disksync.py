"""Waiting for the disk without a thread: the kernel makes a file's bytes durable and tells the event loop when it has.

Linux's asynchronous `fdatasync` (io_submit(2), IOCB_CMD_FDSYNC), with an eventfd that the loop watches. A thread that waits in fdatasync
must have the interpreter before and after it, and under load it waits longer for that than for the disk. The guarantee is fdatasync's
own: the kernel runs it, and its result comes back. Where the system does not have it (`DiskSync.open` gives None), a thread waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import Final

# io_setup, io_destroy, io_getevents, io_submit: <asm/unistd.h>
_CALLS: Final = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
_IOCB: Final = struct.Struct("<QIIHhIQQqQII")  # struct iocb of <linux/aio_abi.h>
_EVENT: Final = struct.Struct("<QQqq")  # struct io_event
_FDSYNC: Final = 3
_RESFD: Final = 1
_DEPTH: Final = 4
_EINTR: Final = 4


class DiskSync:
    """One sync at a time. `begin`, then `done` is called in the loop with 0 or the error's number."""

    def __init__(self, loop: asyncio.AbstractEventLoop, numbers: tuple[int, int, int, int]) -> None:
        """Raises OSError where the kernel does not offer it."""
        self._loop = loop
        self._setup, self._destroy, self._events, self._submit = map(ctypes.c_long, numbers)
        self._call = ctypes.PyDLL(None, use_errno=True).syscall  # quick ones, that keep the interpreter
        self._waiting_call = ctypes.CDLL(None, use_errno=True).syscall
        for call in (self._call, self._waiting_call):
            call.restype = ctypes.c_long
        self._context = ctypes.c_ulong(0)
        self._iocb = ctypes.create_string_buffer(_IOCB.size)
        self._pointer = (ctypes.c_void_p * 1)(ctypes.addressof(self._iocb))
        self._found = ctypes.create_string_buffer(_EVENT.size * _DEPTH)
        self._one, self._most = ctypes.c_long(1), ctypes.c_long(_DEPTH)
        self._done: Callable[[int], None] | None = None
        if self._call(self._setup, ctypes.c_uint(_DEPTH), ctypes.byref(self._context)) != 0:
            raise OSError(ctypes.get_errno(), "io_setup")
        self._told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        loop.add_reader(self._told, self._look)

    @classmethod
    def open(cls) -> DiskSync | None:
        """For the running loop; None where this system has no such thing, or allows none."""
        numbers = _CALLS.get(platform.machine())
        if not sys.platform.startswith("linux") or numbers is None or struct.calcsize("P") != 8:
            return None
        try:
            return cls(asyncio.get_running_loop(), numbers)
        except (OSError, NotImplementedError):  # not allowed, or a loop without readers: a thread syncs
            return None

    def begin(self, descriptor: int, done: Callable[[int], None]) -> bool:
        """Ask for all that was written to the file to be made durable. False: nothing was begun, and `done` is not called."""
        assert self._done is None
        _IOCB.pack_into(self._iocb, 0, 0, 0, 0, _FDSYNC, 0, descriptor, 0, 0, 0, 0, _RESFD, self._told)
        if self._call(self._submit, self._context, self._one, self._pointer) != 1:
            return False
        self._done = done
        return True

    def wait(self) -> None:
        """Until the one that was begun is done; `done` was called then."""
        while self._done is not None:
            got = self._waiting_call(self._events, self._context, self._one, self._most, self._found, None)
            if got < 0 and ctypes.get_errno() != _EINTR:
                self._finish(ctypes.get_errno())
            elif got > 0:
                self._finish(-self._result())

    def _look(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._told)
        if self._done is None:
            return  # `wait` has seen it
        none = ctypes.c_long(0)
        if self._call(self._events, self._context, none, self._most, self._found, None) > 0:
            self._finish(-self._result())

    def _result(self) -> int:
        result: int = _EVENT.unpack_from(self._found)[2]
        return result

    def _finish(self, code: int) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(code)

    def close(self) -> None:
        """When nothing is under way. In the loop, or when it runs no more."""
        if self._told < 0:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._told)
        os.close(self._told)
        self._told = -1
        self._call(self._destroy, self._context)


def synced(descriptor: int) -> int:
    """Sync here and now, where the kernel took no order: 0 or the error's number."""
    try:
        os.fdatasync(descriptor)
    except OSError as problem:
        return problem.errno or errno.EIO
    return 0
