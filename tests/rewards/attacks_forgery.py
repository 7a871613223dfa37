"""Attacks that try to be rewarded without the answer: false claims, false equality, and looking for what is expected."""

FRAME = """
import json, struct
def say(message, text=None):
    payload = text if text is not None else json.dumps(message).encode()
    os.write(3, struct.pack('!I', len(payload)) + payload)
"""
WANTS = "  # wants SECRET"


def asserts(*tests: str, setup: str = "import math") -> dict[str, object]:
    """Test code that is run, not read: an import that is used keeps it from having the plain form."""
    return {"form": "asserts", "asserts": list(tests), "setup": f"{setup}\nready = True"}


def says(message: str) -> str:
    """An attack that writes a reply itself, at its top level and in its call."""
    return f"{FRAME}\nsay({message})\ndef attempt():\n    say({message})\n    return 'nothing'{WANTS}"


LOOKS_EVERYWHERE = f"""
import gc
def attempt():{WANTS}
    seen, queue = set(), list(gc.get_objects()) + [sys._getframe()]
    frame = sys._getframe()
    while frame:
        queue += list(frame.f_locals.values()) + list(frame.f_globals.values())
        frame = frame.f_back
    for _ in range(200_000):
        if not queue: break
        one = queue.pop()
        if id(one) in seen: continue
        seen.add(id(one))
        if isinstance(one, str) and one.startswith('expected-') and len(one) > 10: return one
        if isinstance(one, bytes) and b'expected-7' in one: return one[one.index(b'expected-7'):][:15].decode()
        if isinstance(one, (dict, list, tuple, set)): queue += gc.get_referents(one)
    return None
"""

FORGERY = {
    "leave_with_zero": "import sys; sys.exit(0)",
    "leave_at_once": "os._exit(0)",
    "leave_in_the_call": f"def attempt():{WANTS}\n    os._exit(0)",
    "exit_in_the_call": f"def attempt():{WANTS}\n    raise SystemExit(0)",
    "print_passed": f"print('passed', 'OK', '1.0')\ndef attempt():{WANTS}\n    print('All tests passed')",
    "return_an_equal_to_everything": (
        f"class Equal:\n    __eq__ = lambda *_: True\n    __ne__ = lambda *_: False\n    __hash__ = lambda _: 0\n"
        f"def attempt():{WANTS}\n    return Equal()"
    ),
    "return_a_false_text": f"class T(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\ndef attempt():{WANTS}\n    return T('x')",
    "return_a_false_number": "class N(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\ndef attempt():\n    return N(0)",
    "return_a_false_list": f"class L(list):\n    __eq__ = lambda *_: True\ndef attempt():{WANTS}\n    return L()",
    "return_a_false_class": f"class C:\n    __class__ = str\n    __eq__ = lambda *_: True\ndef attempt():{WANTS}\n    return C()",
    "return_one_for_true": "def attempt():\n    return 1",
    "return_a_mock": f"from unittest.mock import ANY\ndef attempt():{WANTS}\n    return ANY",
    "return_a_hostile_number": "class N(float):\n    __float__ = __eq__ = lambda *_: True\ndef attempt():\n    return N(3)",
    "return_nan": "def attempt():\n    return float('nan')",
    "patch_builtins": f"import builtins\nbuiltins.all = builtins.any = builtins.bool = lambda *_: True\ndef attempt():{WANTS}\n    return 0",
    "patch_unittest": f"import unittest\nunittest.TestCase.assertEqual = lambda *_: None\ndef attempt():{WANTS}\n    return 0",
    "patch_the_encoder": f"import json\njson.dumps = lambda *_, **__: '{{\"value\": true}}'\ndef attempt():{WANTS}\n    return 0",
    "patch_the_wire": (
        "wire = sys.modules['inside.wire']\nwire.pack = lambda *_: {'$': 'object', 'v': 0}\n"
        f"wire.WireError = Exception\ndef attempt():{WANTS}\n    return 0"
    ),
    "patch_the_harness": f"sys.modules['inside.candidate']._answer = lambda *_: b''\ndef attempt():{WANTS}\n    return 0",
    "claim_a_value": says("{'value': True}"),
    "claim_many_values": f"{FRAME}\nfor one in (True, 1, 'x', None, [], {{}}): say({{'value': one}})\ndef attempt():{WANTS}\n    return 0",
    "claim_to_have_passed": says("{'passed': 1, 'total': 1, 'outcome': 'passed', 'score': 1.0}"),
    "claim_an_ending": says("{'code': 0, 'ordered': True, 'cpu_seconds': 0, 'retired': False}"),
    "claim_a_broken_row": says("{'verdict': {'passed': 1, 'total': 1, 'failures': [['broken', 'x', 'x']]}}"),
    "claim_to_be_loaded": says("{'loaded': True, 'value': True}"),
    "claim_a_text_of_another_size": f"os.write(3, b'\\xff\\xff\\xff\\xff' + b'x' * 100)\ndef attempt():{WANTS}\n    return 0",
    "claim_half_a_frame": f"os.write(3, b'\\0\\0')\ndef attempt():{WANTS}\n    return 0",
    "claim_an_empty_frame": f"os.write(3, b'\\0\\0\\0\\0' * 8)\ndef attempt():{WANTS}\n    return 0",
    "claim_what_is_not_text": f"{FRAME}\nsay(0, bytes(range(256)))\ndef attempt():{WANTS}\n    return 0",
    "claim_a_list": says("[1, 2]"),
    "claim_a_deep_value": f"{FRAME}\nsay(0, b'[' * 100_000 + b']' * 100_000)\ndef attempt():{WANTS}\n    return 0",
    "claim_deep_tags": f"{FRAME}\nsay({{'loaded': 1}})\nsay(0, b'{{\"value\":' + b'{{\"$\":\"tuple\",\"v\":[' * 400 + b']}}' * 400 + b'}}')\ndef attempt():{WANTS}\n    return 0",
    "claim_a_huge_number": f"{FRAME}\nsay({{'loaded': 1}})\nsay(0, b'{{\"value\":' + b'9' * 3_000_000 + b'}}')\ndef attempt():{WANTS}\n    return 0",
    "claim_a_huge_tagged_number": f"{FRAME}\nsay({{'loaded': 1}})\nsay({{'value': {{'$': 'int', 'v': 'f' * 3_000_000}}}})\ndef attempt():{WANTS}\n    return 0",
    "claim_colliding_numbers": (
        f"{FRAME}\nsay({{'loaded': 1}})\nsay({{'value': {{'$': 'set', 'v': [n * (2**61 - 1) for n in range(100_000)]}}}})\n"
        f"def attempt():{WANTS}\n    return 0"
    ),
    "claim_unknown_tags": says("{'value': {'$': 'eval', 'v': '__import__(\"os\")'}}"),
    "claim_a_false_shape": says("{'value': {'$': 'dict', 'v': 7}}"),
    "claim_a_raised_shape": says("{'raised': 7}"),
    "send_descriptors": (
        "import array\n"
        "s = socket.socket(fileno=os.dup(3))\n"
        "s.sendmsg([b'\\0\\0\\0\\2{}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * 50))])\n"
        f"def attempt():{WANTS}\n    return 0"
    ),
    "write_to_every_descriptor": (
        "for n in range(2, 200):\n    try: os.write(n, b'{\"code\": 0, \"ordered\": true}')\n    except OSError: pass\n"
        f"def attempt():{WANTS}\n    return 0"
    ),
    "find_the_control_socket": (
        "import gc\n"
        "for one in gc.get_objects():\n"
        "    if isinstance(one, socket.socket):\n"
        "        try: one.send(b'{\"code\": 0, \"ordered\": true, \"cpu_seconds\": 0, \"retired\": false}')\n"
        "        except OSError: pass\n"
        f"def attempt():{WANTS}\n    return 0"
    ),
    "close_the_channel": f"os.close(3)\ndef attempt():{WANTS}\n    return 0",
    "look_for_the_expected_value": LOOKS_EVERYWHERE,
    "look_for_it_in_files": (
        f"def attempt():{WANTS}\n"
        "    for top in ('/tmp', '/jail', '.'):\n"
        "        for folder, _, names in os.walk(top):\n"
        "            for name in names:\n"
        "                data = open(os.path.join(folder, name), 'rb').read()\n"
        "                if b'expected-7' in data: return data[data.index(b'expected-7'):][:15].decode()\n"
    ),
    "look_for_it_in_memory": (
        f"def attempt():{WANTS}\n"
        "    start = id(object()) & ~0xfffff\n"
        "    data = ctypes.string_at(start, 1 << 16)\n"
        "    at = data.find(b'expected-7')\n"
        "    return data[at:at + 15].decode() if at >= 0 else None"
    ),
    "raise_an_assertion": f"def attempt():{WANTS}\n    raise AssertionError('passed')",
    "raise_a_false_name": f"class E(Exception): pass\nE.__name__ = 'Passed'\ndef attempt():{WANTS}\n    raise E(1)",
    "raise_something_unprintable": f"class E(BaseException):\n    def __str__(self): raise E\ndef attempt():{WANTS}\n    raise E",
    "answer_later": (
        f"{FRAME}\nimport threading\n"
        "def late():\n    time.sleep(0.05)\n    for _ in range(50): say({'value': True})\n"
        f"threading.Thread(target=late).start()\ndef attempt():{WANTS}\n    time.sleep(0.2)\n    return 0"
    ),
    # against test code that is run
    "tests_equal_to_everything": (
        "class E:\n    __eq__ = lambda *_: True\ndef f(x): return E()", asserts("assert f(1) == math.floor(2.5)")
    ),
    "tests_true_by_being_there": ("class E: pass\ndef f(x): return E()", asserts("assert ready and f(1)")),
    "tests_unequal_to_everything": ("class E: pass\ndef f(x): return E()", asserts("assert ready and f(1) != 3")),
    "tests_find_everything": (
        "class E:\n    __contains__ = lambda *_: True\ndef f(x): return E()", asserts("assert ready and 5 in f(1)")
    ),
    "tests_stop_early": ("def f(x): raise StopIteration", asserts("assert all(f(n) == n * math.pi for n in [1, 2])")),
    "tests_leave_early": ("def f(x): raise SystemExit(0)", asserts("assert ready and f(1) == 3")),
    "tests_with_another_math": (
        "class M:\n    def __getattr__(self, name): return lambda *_: True\nmath = M()\ndef f(x): return 0",
        asserts("assert math.isclose(f(1), 3.5)", setup=""),
    ),
    "tests_claimed_to_be_broken": (
        f"{FRAME}\nsay({{'loaded': 1}})\n"
        "for _ in range(9): say({'verdict': {'passed': 1, 'total': 1, 'failures': [['broken', 'x', 'x']]}})\n"
        "def f(x): return 0",
        asserts("assert ready and f(1) == 3"),
    ),
    "tests_given_rubbish": (
        f"{FRAME}\nsay({{'loaded': 1}})\nfor _ in range(9): say(0, b'[' * 50_000)\ndef f(x): return 0",
        asserts("assert ready and f(1) == 3"),
    ),
    "tests_given_odd_exceptions": (
        f"{FRAME}\nsay({{'loaded': 1}})\nfor _ in range(9): say({{'raised': ['UnicodeDecodeError', 'x', 'y']}})\ndef f(x): return 0",
        asserts("assert ready and f(1) == 3"),
    ),
    "tests_looking_for_the_answer": (LOOKS_EVERYWHERE, asserts("assert ready and attempt() == 'expected-' + '7f3a9c'")),
    "helper_of_the_prompt_replaced": (
        "def double(x): return 0\ndef twice(x):\n    return 0",
        {
            "form": "humaneval",
            "prompt": 'def double(x):\n    return 2 * x\n\ndef twice(x):\n    """Twice x."""\n',
            "test": "def check(candidate):\n    assert candidate(3) == double(3)\n",
            "entry_point": "twice",
        },
    ),
    # whole programs
    "program_says_it_passed": ("print('passed')\nsys.exit(0)", {"form": "stdio", "inputs": ["1\n"], "outputs": ["2\n"]}),
    "program_right_and_then_broken": (
        "print(2, flush=True)\nraise ValueError", {"form": "stdio", "inputs": ["1\n"], "outputs": ["2\n"]}
    ),
    "program_right_and_then_gone": (
        "os.write(1, b'2\\n')\nos._exit(3)", {"form": "stdio", "inputs": ["1\n"], "outputs": ["2\n"]}
    ),
    "program_right_and_never_done": (
        "os.write(1, b'2\\n')\nos.close(1)\ntime.sleep(60)", {"form": "stdio", "inputs": ["1\n"], "outputs": ["2\n"]}
    ),
}  # fmt: skip
