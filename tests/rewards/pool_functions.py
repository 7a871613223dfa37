"""What the pool's tests run in worker processes: functions that answer, hang, print, raise and die."""

import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def act(item: list[Any]) -> Any:
    """Does what an item asks for."""
    verb, value = item
    match verb:
        case "double":
            return 2 * value
        case "sleep":
            time.sleep(value)
        case "stuck":
            Path(value).touch()
            return math.factorial(10**9) % 7
        case "raise":
            raise ValueError(value)
        case "print":
            print(value)
            sys.stdout.flush()
        case "die_once":
            if not Path(value).exists():
                Path(value).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "process_id":
            return os.getpid()
    return verb
