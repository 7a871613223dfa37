"""Attacks that try to see or touch what is outside: files, network, processes, kernel, the jail itself."""


def returns(expression: str) -> str:
    """An attack that succeeds if an expression is true and raises nothing."""
    return f"def attempt():\n    return bool({expression})"


def succeeds(*statements: str) -> str:
    """An attack that succeeds if its statements raise nothing."""
    return "def attempt():\n" + "".join(f"    {one}\n" for one in statements) + "    return True"


def calls(x86: int, arm: int, arguments: str = "") -> str:
    """An attack that succeeds if a system call does not fail."""
    separator = ", " if arguments else ""
    return returns(f"syscall({x86} if X86 else {arm}{separator}{arguments}) >= 0")


ESCAPE = {
    # files
    "read_a_host_file": "def attempt():\n    return open(FILE).read()  # SECRET",
    "see_a_host_file": returns("os.path.exists(FILE)"),
    "read_passwords": succeeds("open('/etc/passwd').read()"),
    "list_homes": returns("os.listdir('/home') + [n for n in os.listdir('/root') if n != '.pyenv']"),
    "climb_out_by_dots": returns("os.path.exists('/tmp/../../../../../..' + FILE)"),
    "list_the_checkout": returns("[p for p in sys.path if os.path.exists(os.path.join(p, 'rewards'))]"),
    "write_at_the_root": succeeds("open('/mark', 'w').write('x')"),
    "write_into_the_library": succeeds("open(os.path.dirname(os.__file__) + '/mark.py', 'w').write('x')"),
    "write_into_the_harness": succeeds("open('/jail/inside/mark.py', 'w').write('x')"),
    "change_the_harness": succeeds("os.chmod('/jail/inside/wire.py', 0o777)"),
    "write_into_usr_lib": succeeds("open('/usr/lib/mark', 'w').write('x')"),
    "write_into_dev": succeeds("open('/dev/mark', 'w').write('x')"),
    "write_into_shared_memory": succeeds("open('/dev/shm/mark', 'w').write('x')"),
    "replace_the_interpreter": succeeds("os.unlink(sys.executable)"),
    "read_kernel_memory": succeeds("open('/dev/mem', 'rb').read(1)"),
    "open_a_disk": returns(
        "[open('/dev/' + n, 'rb') for n in os.listdir('/dev') if n[:2] in ('sd', 'vd', 'nv', 'dm')]"
    ),
    "open_kvm": succeeds("os.open('/dev/kvm', os.O_RDWR)"),
    "open_a_terminal": succeeds("os.open('/dev/tty', os.O_RDWR)"),
    "open_by_handle": calls(304, 265, "-100, ctypes.create_string_buffer(64), 0"),
    "make_a_device": succeeds("os.mknod('/tmp/disk', 0o60666, os.makedev(254, 0))"),
    "see_sysfs": returns("os.listdir('/sys')"),
    "see_cgroups": returns("os.path.exists('/sys/fs/cgroup')"),
    # environment and processes
    "read_the_environment": "def attempt():\n    return os.environ['BAIT']  # SECRET",
    "see_foreign_variables": returns("set(os.environ) & {'PYTEST_CURRENT_TEST', 'USER', 'LOGNAME', 'SSH_CONNECTION'}"),
    "list_processes": returns("os.listdir('/proc')"),
    "read_own_environment_block": returns("open('/proc/self/environ').read()"),
    "look_through_another_root": returns("os.listdir('/proc/1/root')"),
    "see_host_processes": succeeds("os.kill(HOST, 0)"),
    "kill_the_host": succeeds("os.kill(HOST, signal.SIGTERM)"),
    "kill_the_zygote": succeeds("os.kill(1, signal.SIGKILL)"),
    "stop_the_zygote": succeeds("os.kill(1, signal.SIGSTOP)"),
    "kill_everybody": succeeds("os.kill(-1, signal.SIGKILL)"),
    "kill_the_group": succeeds("os.killpg(0, signal.SIGKILL)"),
    "kill_by_queue": calls(129, 138, "1, 9, ctypes.create_string_buffer(128)"),
    "kill_by_descriptor": succeeds("signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL)"),
    "trace_the_zygote": calls(101, 117, "16, 1, 0, 0"),
    "trace_anybody": returns("any(syscall(101 if X86 else 117, 16, n, 0, 0) == 0 for n in range(1, 50))"),
    "read_the_zygote": calls(310, 270, "1, ctypes.create_string_buffer(16), 1, ctypes.create_string_buffer(16), 1, 0"),
    "write_the_zygote": calls(311, 271, "1, ctypes.create_string_buffer(16), 1, ctypes.create_string_buffer(16), 1, 0"),
    "take_a_descriptor": calls(438, 438, "os.pidfd_open(1), 0, 0"),
    "limit_the_zygote": succeeds("import resource", "resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))"),
    "pin_the_zygote": succeeds("os.sched_setaffinity(1, {0})"),
    "slow_the_zygote": succeeds("os.setpriority(os.PRIO_PROCESS, 1, 19)"),
    "slow_its_disk": calls(251, 30, "1, 1, 0"),
    "become_real_time": succeeds("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"),
    # network
    "connect_to_localhost": succeeds("socket.create_connection(('127.0.0.1', PORT), 0.5)"),
    "send_a_datagram": succeeds("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))"),
    "connect_over_ipv6": succeeds("socket.socket(socket.AF_INET6)"),
    "resolve_a_name": succeeds("socket.getaddrinfo('localhost', 80)", "socket.create_connection(('localhost', PORT))"),
    "connect_to_a_unix_socket": succeeds("socket.socket(socket.AF_UNIX).connect(UNIX)"),
    "connect_to_an_abstract_socket": succeeds("socket.socket(socket.AF_UNIX).connect(ABSTRACT)"),
    "reach_the_hypervisor": succeeds("socket.socket(40, socket.SOCK_STREAM)"),
    "talk_to_netlink": succeeds("socket.socket(16, socket.SOCK_RAW, 0)"),
    "send_raw_packets": succeeds("socket.socket(17, socket.SOCK_RAW, 3)"),
    "use_kernel_crypto": succeeds("socket.socket(38, socket.SOCK_SEQPACKET, 0)"),
    # other programs
    "fork": "def attempt():\n    if os.fork() == 0:\n        os._exit(0)\n    return True",
    "fork_by_number": returns("X86 and syscall(57) >= 0"),
    "vfork_by_number": returns("X86 and syscall(58) >= 0"),
    "clone_a_process": calls(56, 220, "17, 0, 0, 0, 0"),
    "clone_by_the_new_call": calls(435, 435, "ctypes.create_string_buffer(88), 88"),
    "run_a_shell": returns("__import__('subprocess').run(['/bin/sh', '-c', 'true']).returncode == 0"),
    "run_python": returns("__import__('subprocess').run([sys.executable, '-c', '1']).returncode == 0"),
    "run_by_system": returns("os.system('true') == 0"),
    "spawn": returns("os.posix_spawn(sys.executable, [sys.executable, '-c', '1'], {})"),
    "become_another_program": "os.execv(sys.executable, [sys.executable, '-c', 'print(True)'])\ndef attempt(): return True",
    "use_a_process_pool": succeeds(
        "from concurrent.futures import ProcessPoolExecutor as P", "assert P(1).submit(abs, 1).result(0.5) == 1"
    ),
    # privileges and namespaces
    "become_root": returns("os.setuid(0) is None or True"),
    "new_user_namespace": calls(272, 97, "0x10000000"),
    "new_network_namespace": calls(272, 97, "0x40000000"),
    "enter_a_namespace": calls(308, 268, "3, 0"),
    "mount": calls(165, 40, "b'tmpfs', b'/tmp', b'tmpfs', 0, b''"),
    "unmount": calls(166, 39, "b'/tmp', 2"),
    "mount_by_the_new_call": calls(430, 430, "b'tmpfs', 0"),
    "change_root": succeeds("os.chroot('/tmp')"),
    "change_personality": calls(135, 92, "0x0040000"),
    "raise_limits": succeeds("import resource", "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"),
    "set_the_clock": succeeds("time.clock_settime(time.CLOCK_REALTIME, 0)"),
    "set_the_host_name": succeeds("socket.sethostname('owned')"),
    "read_the_kernel_log": calls(103, 116, "3, ctypes.create_string_buffer(64), 64"),
    "load_a_filter_program": calls(321, 280, "0, ctypes.create_string_buffer(128), 128"),
    "count_performance": calls(298, 241, "ctypes.create_string_buffer(128), 0, -1, -1, 0"),
    "handle_page_faults": calls(323, 282, "0"),
    "use_a_ring": calls(425, 425, "4, ctypes.create_string_buffer(256)"),
    "old_system_calls": (
        "def attempt():\n"
        "    import mmap\n"
        "    if not X86: return False\n"
        "    page = mmap.mmap(-1, 4096, prot=7)\n"
        "    page.write(bytes.fromhex('b814000000cd80c3'))  # getpid by the 32-bit interface\n"
        "    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
        "    return call() > 0"
    ),
    "x32_system_calls": returns("X86 and syscall(0x40000000 + 39) > 0"),
    # what would outlive the program
    "share_memory_by_key": calls(29, 194, "4242, 4096, 0o1666"),
    "leave_a_message_queue": calls(68, 186, "4242, 0o1666"),
    "leave_a_semaphore": calls(64, 190, "4242, 1, 0o1666"),
    "leave_a_posix_queue": calls(240, 180, "b'mark', 0o102, 0o666, 0"),
    "leave_a_key": calls(248, 217, "b'user', b'mark', b'x', 1, -3"),
    "read_the_hosts_keys": calls(250, 219, "0, -3, 1"),
    "hide_a_file_in_memory": succeeds("os.memfd_create('mark')"),
    "hide_secret_memory": calls(447, 447, "0"),
    "find_a_foreign_descriptor": returns("[n for n in range(4, 2048) if not _closed(n)]").replace(
        "def attempt", "def _closed(n):\n    try: os.fstat(n)\n    except OSError: return True\ndef attempt"
    ),
}
