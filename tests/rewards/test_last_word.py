"""A jail's last word is heard: it may end while an order to end its program is under way, and Linux then says so first."""

import socket
import time
from typing import Any, cast

from rewards.sandbox.inside import wire
from rewards.sandbox.jail import Jail

ENDING = wire.ENDING.pack(0, False, True, 0.5)


def jail_and_zygote() -> tuple[Jail, socket.socket]:
    """A jail that was not started, and the other end of its control socket."""
    made = Jail(cast(Any, None), cast(Any, None))
    made._control, zygote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return made, zygote


def test_the_verdict_of_a_program_is_not_lost_with_an_order_that_came_too_late() -> None:
    jail, zygote = jail_and_zygote()
    assert jail._control is not None
    jail._control.send(wire.ORDER.pack(wire.END, 0))  # which nobody reads
    zygote.send(ENDING)
    zygote.close()
    assert jail._hear(time.monotonic() + 1) == ENDING
    assert jail._hear(time.monotonic() + 1) is None


def test_a_jail_that_says_nothing_more_is_gone() -> None:
    jail, zygote = jail_and_zygote()
    assert jail._control is not None
    jail._control.send(wire.ORDER.pack(wire.END, 0))
    zygote.close()
    began = time.monotonic()
    assert jail._hear(began + 5) is None
    assert time.monotonic() - began < 1
