"""The system calls that a program in the jail may not make, as filters that the kernel runs.

confine.py installs one in the warm interpreter, whose children inherit it, and a short one in every forked process, before
foreign code runs, with what the warm interpreter itself has to do. The jail's namespaces keep a program from
seeing the machine; this keeps it from starting processes, from reaching the warm interpreter that shares its user id,
from leaving anything in the kernel that outlives it, and from the parts of the kernel where escapes are found.
"""

import ctypes
import errno
import platform
import struct

# name: (x86_64, aarch64) system call numbers; None where an architecture does not have it.
Numbers = dict[str, tuple[int | None, int | None]]
_REFUSED_WHEN_FORKED: Numbers = {"fork": (57, None), "vfork": (58, None)}  # one program is one process
_REFUSED: Numbers = {
    "execve": (59, 221), "execveat": (322, 281),
    # the warm interpreter, which runs under the same user id
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "move_pages": (279, 239), "migrate_pages": (256, 238),
    "sched_setaffinity": (203, 122), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "timer_create": (222, 107),
    # what would outlive the program, or hold memory that no limit counts
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "semget": (64, 190), "semop": (65, 193), "semtimedop": (220, 192), "mq_open": (240, 180),
    "mq_unlink": (241, 181), "memfd_create": (319, 279), "memfd_secret": (447, 447), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218),
    # new namespaces, mounts and roots
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432),
    "fsconfig": (431, 431), "fspick": (433, 433), "open_tree": (428, 428), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "mknod": (133, None), "mknodat": (259, 33),
    # the kernel's wide doors
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "fanotify_init": (300, 262),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "personality": (135, 92), "vhangup": (153, 58), "iopl": (172, None),
    "ioperm": (173, None), "modify_ldt": (154, None), "lookup_dcookie": (212, 18),
}  # fmt: skip
_CLONE, _CLONE3, _SOCKET, _SOCKETPAIR = (56, 220), (435, 435), (41, 198), (53, 199)
_KILL, _TKILL, _TGKILL, _PRLIMIT, _SETRLIMIT, _FCNTL, _IOCTL = (
    (62, 129),
    (200, 130),
    (234, 131),
    (302, 261),
    (160, 164),
    (72, 25),
    (16, 29),
)

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, the kernel's name for it
_FIRST_X32_CALL = 0x40000000
_CLONE_THREAD, _AF_UNIX, _F_SETSIG, _TIOCSTI = 0x10000, 1, 10, 0x5412
_SIGKILL, _SIGSTOP, _RLIMIT_CPU = 9, 19, 0

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


class Filter:
    """A filter, ready to be installed: a forked process has no time to prepare it."""

    def __init__(self, instructions: list[Instruction]) -> None:
        self._text = b"".join(struct.pack("=HBBI", *one) for one in instructions)
        self._program = _Program(len(instructions), self._text)
        self._address = ctypes.addressof(self._program)
        # Without an error number, which costs every forked process ten pages, and told what it takes, or each call works it out.
        self._prctl = ctypes.CDLL(None).prctl
        self._prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]

    def install(self) -> None:
        """Put the filter on this process, for good and for all that comes from it. Raises OSError."""
        if self._prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._address, 0, 0) != 0:
            raise OSError("the kernel refused the seccomp filter")


def _returns(error: int) -> Instruction:
    return _RETURN, 0, 0, _REFUSE | error


def _load(offset: int) -> Instruction:
    return _LOAD, 0, 0, offset


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """`body` for one system call; whatever falls through it is allowed."""
    block = [*body, (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(block), number), *block]


def _argument_rules(column: int) -> list[Instruction]:
    """System calls that are allowed or not according to an argument; the low half is all that the kernel looks at."""
    eperm, first, second = _returns(errno.EPERM), _ARGUMENTS, _ARGUMENTS + 8
    rules = _when(_CLONE3[column], [_returns(errno.ENOSYS)])  # the C library then takes clone, which can be looked at
    for call in (_SOCKET, _SOCKETPAIR):
        rules += _when(call[column], [_load(first), (_EQUAL, 1, 0, _AF_UNIX), _returns(errno.EAFNOSUPPORT)])
    rules += _when(_PRLIMIT[column], [_load(first), (_EQUAL, 1, 0, 0), eperm])
    rules += _when(_FCNTL[column], [_load(second), (_EQUAL, 0, 1, _F_SETSIG), eperm])
    rules += _when(_IOCTL[column], [_load(second), (_EQUAL, 0, 1, _TIOCSTI), eperm])
    return rules


def _argument_rules_when_forked(column: int) -> list[Instruction]:
    eperm, first, second, third = _returns(errno.EPERM), _ARGUMENTS, _ARGUMENTS + 8, _ARGUMENTS + 16
    fatal: list[Instruction] = [(_EQUAL, 1, 0, _SIGKILL), (_EQUAL, 0, 1, _SIGSTOP), eperm]
    rules = _when(_CLONE[column], [_load(first), (_ANY_BIT, 1, 0, _CLONE_THREAD), eperm])
    # Nobody inside can send SIGKILL, or have the kernel send it by lowering the limit on CPU time: a program
    # that dies of it was ended from outside, and is judged again.
    rules += _when(_PRLIMIT[column], [_load(second), (_EQUAL, 0, 1, _RLIMIT_CPU), eperm])
    rules += _when(_SETRLIMIT[column], [_load(first), (_EQUAL, 0, 1, _RLIMIT_CPU), eperm])
    rules += _when(_KILL[column], [_load(second), *fatal]) + _when(_TKILL[column], [_load(second), *fatal])
    return rules + _when(_TGKILL[column], [_load(third), *fatal])


def is_supported() -> bool:
    """Whether there are filters for this machine's architecture."""
    return platform.machine() in _ARCHITECTURES


def filters() -> tuple[Filter, Filter]:
    """The filter of the warm interpreter, and what is added to it in the processes that it forks."""
    column, architecture = _ARCHITECTURES[platform.machine()]
    start: list[Instruction] = [_load(_ARCHITECTURE), (_EQUAL, 1, 0, architecture), _returns(errno.EPERM)]
    start += [_load(_NUMBER), (_AT_LEAST, 0, 1, _FIRST_X32_CALL), _returns(errno.EPERM)]
    end: Instruction = (_RETURN, 0, 0, _ALLOW)
    own = [*start, *_refusals(_REFUSED, column), *_argument_rules(column), end]
    # Both are asked and the stricter wins, so the second, which the kernel translates once for every program, is short.
    added = [_load(_NUMBER), *_refusals(_REFUSED_WHEN_FORKED, column), *_argument_rules_when_forked(column), end]
    return Filter(own), Filter(added)


def _refusals(refused: Numbers, column: int) -> list[Instruction]:
    rules: list[Instruction] = []
    for numbers in refused.values():
        number = numbers[column]
        if number is not None:
            rules += [(_EQUAL, 0, 1, number), _returns(errno.EPERM)]
    return rules
