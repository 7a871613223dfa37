"""`hardware`: the launcher config and the processes a recipe runs on."""

from pydantic import Field

from alignment.recipe.closed import Closed


class Hardware(Closed):
    """The block `hardware` of a recipe."""

    accelerate: str = Field(
        "auto",
        description="A launcher config from recipes/accelerate/ by name, or a path to one; auto is gpu on a machine with one, else cpu.",
    )
    processes: int = Field(1, ge=1, description="Training processes over all machines, one per device.")
    device_memory_gib: float = Field(
        80, gt=0, description="Memory of one device in GiB; `check` compares its estimate with it."
    )
    interface: str | None = Field(
        None,
        description="Network interface of each machine for its ranks, by name, such as eth0; default: the one that faces the first machine.",
    )
    timeout_minutes: float = Field(
        30,
        gt=0,
        description="Minutes that a rank on a GPU waits for the others in one collective operation before it fails.",
    )
