"""Attacks that try to take everything or to stay: time, memory, disk, descriptors, threads, output, and mess."""

import sys

WANTS = "  # wants SECRET"
STDIO = {"form": "stdio", "inputs": ["1\n"], "outputs": ["2\n"]}


def does(*statements: str) -> str:
    """An attack that does harm and then returns nothing of worth."""
    return f"def attempt():{WANTS}\n" + "".join(f"    {one}\n" for one in statements)


DENIAL = {
    "loop_forever": does("while True: pass"),
    "loop_while_loading": "while True: pass",
    "sleep_forever": does("time.sleep(3600)"),
    "wait_for_itself": does("import threading", "a = threading.Lock(); a.acquire(); a.acquire()"),
    "compute_in_c": does("return 7 ** (7 ** 12)"),
    "match_forever": does("import re", "re.match(r'(a+)+$', 'a' * 40 + 'b')"),
    "ignore_every_signal": does(
        "for n in range(1, 65):", "    try: signal.signal(n, signal.SIG_IGN)", "    except (OSError, ValueError): pass",
        "while True: pass",
    ),
    "catch_everything": does("while True:", "    try:", "        while True: pass", "    except BaseException: pass"),
    "use_all_cores": does(
        "import threading, hashlib",
        "for _ in range(8): threading.Thread(target=lambda: [hashlib.sha256(b'x' * 10**7) for _ in range(10**6)]).start()",
    ),
    "stop_itself": does("os.kill(os.getpid(), signal.SIGSTOP)"),
    "kill_itself": does("os.kill(os.getpid(), signal.SIGKILL)"),
    "kill_itself_by_a_timer": does(
        "event = (ctypes.c_int * 16)(0, 0, 9, 0)", "timer = ctypes.c_int()",
        "syscall(222 if X86 else 107, 1, ctypes.byref(event), ctypes.byref(timer))",
        "syscall(223 if X86 else 110, timer.value, 0, ctypes.byref((ctypes.c_long * 4)(0, 0, 0, 1)), 0)",
        "time.sleep(0.2)",
    ),
    "abort": does("os.abort()"),
    "read_a_null_pointer": does("ctypes.string_at(0)"),
    "overflow_the_stack": does(
        "sys.setrecursionlimit(10**9)", "one = []", "for _ in range(10**6): one = [one]", "repr(one)"
    ),
    "recur_forever": "sys.setrecursionlimit(10**9)\ndef attempt():" + WANTS + "\n    return attempt()",
    "allocate_at_once": does("return len(bytearray(8 << 30))"),
    "allocate_bit_by_bit": does("held = []", "while True: held.append(bytearray(1 << 20))"),
    "allocate_small_things": does("held = {}", "while True: held[len(held)] = str(len(held))"),
    "allocate_shared": does("import mmap", "held = []", "while True: held.append(mmap.mmap(-1, 1 << 24)); held[-1][::4096]"),
    "repeat_a_text": does("return 'x' * 10**11"),
    "lock_memory": does("syscall(151 if X86 else 230, 3)", "held = [bytearray(1 << 20) for _ in range(4096)]"),
    "fill_the_disk": does(
        "for n in range(10**6):", "    with open(f'/tmp/{n}', 'wb') as file: file.write(b'x' * (1 << 20))"
    ),
    "make_a_huge_file": does("with open('/tmp/huge', 'wb') as file: file.truncate(1 << 40)"),
    "make_countless_files": does("for n in range(10**7): open(f'/tmp/{n}', 'w').close()"),
    "make_deep_directories": does("while True:", "    os.mkdir('d'); os.chdir('d')"),
    "lock_a_directory": does("os.makedirs('/tmp/a/b')", "open('/tmp/a/b/c', 'w').close()", "os.chmod('/tmp/a', 0)"),
    "leave_links": does("os.symlink('/usr/lib', '/tmp/link')", "os.symlink('/tmp', '/tmp/self')"),
    "open_everything": does("held = []", "while True: held.append(open('/dev/null'))"),
    "start_countless_threads": does(
        "import threading", "threading.stack_size(1 << 16)", "held = []",
        "while True: held.append(threading.Thread(target=time.sleep, args=(60,))); held[-1].start()",
    ),
    "start_countless_processes": does(
        "while True:", "    try: os.fork()", "    except OSError: pass",
    ),
    "write_countless_lines": does("while True: print('x' * 10**6)"),
    "return_a_huge_list": does("return list(range(10**7))"),
    "return_a_huge_text": does("return 'x' * (64 << 20)"),
    "return_itself": does("one = []; one.append(one); return one"),
    "return_an_endless_iterator": does("import itertools", "return itertools.count()"),
    "return_what_never_hashes": "class H:\n    def __hash__(self):\n        while True: pass\ndef attempt():" + WANTS + "\n    return {H()}",
    "return_what_never_packs": "class L(dict):\n    def keys(self):\n        while True: pass\n    def __iter__(self):\n        while True: pass\n    items = keys\ndef attempt():" + WANTS + "\n    return L(a=1)",
    "flood_the_channel": does("while True: os.write(3, b'\\0\\0\\0\\2{}' * 10000)"),
    "send_an_endless_frame": does("os.write(3, b'\\x00\\x3f\\xff\\xff')", "while True: os.write(3, b'[' * 10); time.sleep(0.01)"),
    "never_read": "def attempt():" + WANTS + "\n    while True: time.sleep(1)",
    "leave_a_thread": does("import threading", "threading.Thread(target=time.sleep, args=(60,)).start()", "return 0"),
    "hang_while_leaving": does("import atexit", "atexit.register(time.sleep, 60)", "sys.exit(0)"),
    "nest_parentheses": "x = " + "(" * 5000 + ")" * 5000,
    "nest_blocks": "\n".join(" " * n + "if 1:" for n in range(200)),
    "write_a_null_byte": "x = 1\0",
    "write_half_a_character": "x = '\udc80'\ndef attempt(): return x",
    "claim_another_encoding": "# -*- coding: rot13 -*-\nqrs nggrzcg(): erghea Gehr",
    "import_what_is_not_there": "import no_such_module",
    "define_nothing": "x = 1",
    "define_something_else": "attempt = 3",
    "fold_a_huge_constant": "x = 2 ** 10 ** 9\ndef attempt(): return 0",
    "die_of_a_signal_without_a_name": does("os.kill(os.getpid(), 40)"),
    "raise_half_a_character": does("raise ValueError('\\udc80')"),
    "lower_the_limit_on_cpu_time": does(
        "import resource", "try: resource.setrlimit(resource.RLIMIT_CPU, (1, 1))", "except ValueError: pass", "while True: pass"
    ),
    "close_the_private_directory": does("os.chmod('/tmp', 0)"),
    "return_a_key_too_long_to_write": (
        "def attempt(): return {10**5000: 1}",
        {"form": "calls", "entry_point": "attempt", "calls": [[]], "outputs": [{"a": 1}]},
    ),
    "send_an_urgent_byte": does(
        "socket.socket(fileno=os.dup(3)).send(b'x', socket.MSG_OOB)", "time.sleep(60)",
    ),
    "stop_at_the_terminal": does("for n in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU): os.kill(os.getpid(), n)"),
    "filter_its_own_calls": does(
        "libc = ctypes.CDLL(None)",
        "text = ctypes.create_string_buffer(b'\\x06\\0\\0\\0\\0\\0\\0\\x80', 8)  # kill the process at any call",
        "program = ctypes.create_string_buffer((1).to_bytes(8, 'little') + ctypes.addressof(text).to_bytes(8, 'little'))",
        "libc.prctl(22, 2, ctypes.byref(program), 0, 0)",
        "os.getpid()",
    ),
    "program_floods": ("while True: print('x' * 1000)", STDIO),
    "program_loops": ("while True: pass", STDIO),
    "program_waits_for_input": ("while True:\n    try: input()\n    except EOFError: pass", STDIO),
    "program_leaves_a_thread": (
        "import threading\nprint(3)\nthreading.Thread(target=time.sleep, args=(60,)).start()", STDIO
    ),
    "program_closes_its_output": ("os.close(1)\nwhile True: pass", STDIO),
    "tests_talked_into_being_broken": (
        "class O:\n    @property\n    def x(self):\n        os.write(3, b'\\0\\0\\0\\5[[[[[')\n        return 3\nobj = O()",
        {"form": "asserts", "asserts": ["assert ready and obj.x == 4"], "setup": "ready = True"},
    ),
    "tests_left_by_the_program": (
        "class O:\n    @property\n    def x(self):\n        os.close(3)\n        time.sleep(60)\nobj = O()",
        {"form": "asserts", "asserts": ["try:\n    obj.x\nexcept BaseException:\n    assert ready"], "setup": "ready = True"},
    ),
    "tests_given_too_much": (
        "def f(x): return 'x' * (8 << 20)",
        {"form": "asserts", "asserts": ["try:\n    f(1)\nexcept BaseException:\n    assert ready"], "setup": "ready = True"},
    ),
    "tests_never_answered": (
        "def f(x):\n    while True: pass",
        {"form": "asserts", "asserts": ["assert ready and f(1) == 3"], "setup": "ready = True\nimport math"},
    ),
    "tests_given_an_endless_list": (
        "def f(x):\n    while True: yield 1",
        {"form": "asserts", "asserts": ["assert sum(f(1)) == 3 * ready"], "setup": "ready = True"},
    ),
    "tests_given_endless_objects": (
        "class E:\n    def __getitem__(self, n): return 1\n    def __len__(self): return 10**9\ndef f(x): return E()",
        {"form": "asserts", "asserts": ["assert [f(1)[n] for n in range(10**9)] == ready"], "setup": "ready = True"},
    ),
}  # fmt: skip
if sys.platform != "linux":
    DENIAL.clear()
