"""Memory of one device while a stage trains, part by part, in bytes.

What has to be held follows from the recipe; how much of each layer's activations is kept was measured on an H100 and on
CPUs (docs/hardware.md). Neighbours: shape.py (the model), advice.py (what to do where it does not fit).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from alignment.core.resources import model_place
from alignment.inference.start import BESIDE_TRAINER
from alignment.recipe.blocks.engine import engine_kind
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.judges import ServedJudge
from alignment.recipe.kinds import kind_of
from alignment.recipe.stage import StageFields, TrainingStage
from alignment.run.launcher import LauncherConfig, launcher_config
from alignment.sizing.cluster import GIB
from alignment.sizing.shape import Shape, shape_of

BASE_CPU = 0.75 * GIB  # an interpreter with torch, transformers and TRL
BASE_GPU = 1.0 * GIB  # a CUDA context, its libraries' workspaces, and what the allocator cannot use
JUDGE_CPU = 2.4 * GIB  # a judge's server and its engine, with VLLM_CPU_KVCACHE_SPACE of 1 GiB; measured
POOLED_CPU = 1.0 * GIB  # VLLM_CPU_KVCACHE_SPACE of a reward model in vLLM
NF4_BYTES = 0.55  # a weight in 4 bits with its scales
HEAD_ROWS = 4096  # of logits that TRL's fused head makes at once
HEAD_COLUMNS = 8192


@dataclass(frozen=True)
class Memory:
    """Bytes of one device by what takes them."""

    weights: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0
    activations: float = 0.0
    logits: float = 0.0
    engine: float = 0.0  # the sampling engine's own weights and keys and values
    reference: float = 0.0  # the frozen policy of a KL term or of DPO
    scorers: float = 0.0  # reward models, the frozen policy that measures fluency, and a teacher
    judges: float = 0.0  # servers of judges that share the device
    base: float = 0.0

    @property
    def gib(self) -> float:
        """All of it, in GiB."""
        return sum(asdict(self).values()) / GIB

    def parts(self) -> Iterator[tuple[str, float]]:
        """`(name, GiB)` of each part that takes any, largest first."""
        named = ((name, size / GIB) for name, size in asdict(self).items() if size)
        return iter(sorted(named, key=lambda pair: -pair[1]))


@dataclass(frozen=True)
class Training:
    """What memory depends on besides the model: the stage, where it runs, on how many devices, and the judges served for it."""

    stage: TrainingStage
    hardware: Hardware
    config: LauncherConfig
    on_gpu: bool
    judges: tuple[ServedJudge, ...] = ()

    @property
    def batch(self) -> tuple[int, int]:
        """Rows of a forward pass on one device, and tokens of a row."""
        declared = kind_of(self.stage).batch
        return (1, 1) if declared is None else declared(self.stage)

    @property
    def sharing(self) -> int:
        """Processes that share each pack of rows."""
        return int(getattr(self.stage, "sequence_parallel", 1))

    @property
    def deepspeed(self) -> bool:
        """Whether DeepSpeed holds the optimizer's own copy of the weights."""
        return self.config.zero_stage > 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of a weight in the trainer."""
        chosen = self.stage.resolved_weights_dtype(on_gpu=self.on_gpu, deepspeed=self.deepspeed)
        return 2 if chosen == "bfloat16" else 4

    @property
    def computed_bytes(self) -> int:
        """Bytes of what matrix products take and give: bfloat16 on a GPU."""
        return 2 if self.on_gpu else self.weight_bytes

    @property
    def gathered_bytes(self) -> int:
        """Bytes of a weight as layers compute with it, and of what they pass on: FSDP2 gathers weights rounded."""
        return self.computed_bytes if self.config.fsdp_version else self.weight_bytes

    @property
    def accumulates(self) -> bool:
        """Whether gradients of earlier micro-batches are there while one is computed."""
        rollout = getattr(self.stage, "rollout", None)
        if rollout is None:
            return int(self.stage.trainer.get("gradient_accumulation_steps", 1)) > 1
        return bool(rollout.problems_per_step * rollout.generations > self.batch[0] * self.hardware.processes)

    @property
    def checkpointed(self) -> bool:
        """Whether each layer's activations are computed again in the backward pass."""
        return bool(self.stage.trainer.get("gradient_checkpointing", self.on_gpu))


def training_of(
    stage: StageFields, hardware: Hardware, *, on_gpu: bool | None = None, judges: tuple[ServedJudge, ...] = ()
) -> Training | None:
    """How a stage trains; None for one that does not. on_gpu: else as the launcher config says. judges: served for it."""
    if not isinstance(stage, TrainingStage) or kind_of(stage).batch is None:
        return None
    config = launcher_config(hardware)
    return Training(stage, hardware, config, (not config.hides_gpus) if on_gpu is None else on_gpu, judges)


def memory_of(shape: Shape, training: Training, device_gib: float) -> Memory:
    """What one device holds at a stage's peak. device_gib: of a GPU, of which vLLM takes a fraction."""
    rows, length = training.batch
    config, processes, lora = training.config, training.hardware.processes, training.stage.lora
    trained = float(shape.parameters if lora is None else lora.rank * shape.adapted_widths * shape.layers)
    frozen = 0.0 if lora is None else _frozen(shape, quantised=lora.quantise is not None)
    states = processes if config.shards_optimizer else 1
    whole = processes if config.shards_weights else 1
    own = training.weight_bytes if lora is None else 4
    # Under ZeRO-3 a layer, or the head, is gathered whole while it is used, and the next one before that is over.
    gathered = 0.0 if whole == 1 else 2.0 * training.gathered_bytes * max(shape.layer, shape.vocabulary * shape.hidden)
    master = 4 if training.deepspeed and lora is None else 0
    if config.keeps_gathered:  # until the backward pass has used them
        gathered = float(training.gathered_bytes * shape.parameters)
    gradients = own * trained / (states if config.zero_stage >= 2 or config.shards_weights else 1)
    tokens = -(-rows * length // training.sharing)  # of a pass on one device
    activations = max(_activations(shape, training, tokens), _measured(shape, training, rows * length))
    return Memory(
        weights=(own * trained + frozen) / whole + gathered,
        gradients=gradients,
        optimizer=(8 + master) * trained / states,
        # A GPU gives back a layer's activations as its gradients come; a CPU's allocator keeps what it had.
        activations=max(0.0, activations - gradients) if training.on_gpu and not training.accumulates else activations,
        logits=_logits(shape, training, tokens),
        engine=_engine(shape, training, device_gib),
        reference=_reference(shape, training) / whole,
        scorers=_scorers(shape, training) / (whole if training.stage.shards_scoring_models and config.zero_stage else 1)
        + _pooled(shape, training, device_gib),
        judges=_judges(training, device_gib),
        base=BASE_GPU if training.on_gpu else BASE_CPU,
    )


def _frozen(shape: Shape, *, quantised: bool) -> float:
    if not quantised:
        return 2.0 * shape.parameters
    return 2.0 * shape.embeddings + NF4_BYTES * (shape.parameters - shape.embeddings)


def layer_activations(shape: Shape, training: Training) -> float:
    """Bytes that one layer keeps of one token for its backward pass."""
    computed = training.computed_bytes
    heads, mlp = shape.query_width, shape.mlp
    if training.on_gpu:  # with Liger's layers and a residual stream in the type of the computation (training/fused.py)
        norms = 4 * computed * shape.hidden  # what two norms read, and what they write
        attention = computed * (3 * heads + shape.key_width + 2 * heads)
        return norms + attention + 3 * computed * mlp
    norms = 2 * (8 + computed) * shape.hidden
    attention = (2 * computed + 4) * (heads + shape.key_width) + computed * (heads + shape.key_width)
    return norms + attention + 4 * computed * mlp


def _activations(shape: Shape, training: Training, tokens: int) -> float:
    each = layer_activations(shape, training)
    if training.checkpointed:  # each layer's input, and one layer whole
        residual = training.computed_bytes if training.on_gpu else training.gathered_bytes
        return tokens * (shape.layers * residual * shape.hidden + each)
    return tokens * shape.layers * each


def _measured(shape: Shape, training: Training, tokens: int) -> float:
    """One layer of a held-out pack, which each device of those that share packs measures whole; else training takes more."""
    if training.sharing == 1 or not getattr(training.stage, "held_out", None):
        return 0.0
    return layer_activations(shape, training) * tokens


def _logits(shape: Shape, training: Training, tokens: int) -> float:
    """A tile of logits, and the head's gradient in float32 before it is added to the weights' own."""
    tile = min(tokens, HEAD_ROWS) * min(shape.vocabulary, HEAD_COLUMNS) * (training.computed_bytes + 8)
    head = 0.0 if training.stage.lora is not None else 4.0 * shape.vocabulary * shape.hidden
    return tile + head + 8.0 * tokens * shape.hidden


def _reference(shape: Shape, training: Training) -> float:
    """The policy at the stage's start, where a stage holds it beside the one that it trains."""
    holds = kind_of(training.stage).holds_reference
    return float(training.weight_bytes * shape.parameters) if holds is not None and holds(training.stage) else 0.0


def _scorers(shape: Shape, training: Training) -> float:
    """Models that score rollouts, whole on each device: bfloat16 on a GPU, else float32. A hub id's size may be unknown."""
    scale = 2.0 if training.on_gpu else 4.0
    models = training.stage.scoring_models(training.hardware.processes)
    shapes = [shape if model is None else shape_of(model) for model in models]
    return scale * sum(one.parameters for one in shapes if one is not None)


def unsized_models(training: Training) -> tuple[str, ...]:
    """The scoring models of a stage whose size is not known here, so that an estimate lacks them."""
    pooled = [model for model, _ in training.stage.pooled_models] if not training.on_gpu else []
    named = [*training.stage.scoring_models(training.hardware.processes), *pooled]
    return tuple(dict.fromkeys(one for one in named if one is not None and shape_of(one) is None))


def _pooled(shape: Shape, training: Training, device_gib: float) -> float:
    """Reward models in vLLM: their fraction of a GPU; on a CPU their weights in float32, and vLLM's cache."""
    models = training.stage.pooled_models
    if training.on_gpu:
        return sum(fraction for _, fraction in models) * device_gib * GIB
    shapes = [shape if model is None else shape_of(model) for model, _ in models]
    return sum(POOLED_CPU + (0.0 if one is None else 4.0 * one.parameters) for one in shapes)


def _judges(training: Training, device_gib: float) -> float:
    """Servers of judges on the stage's device: on a CPU all of them, on a GPU those whose memory the recipe bounds.

    The others have GPUs of their own (run/judges/places.py).
    """
    if training.on_gpu:
        bounded = [one.engine for one in training.judges if one.engine.bounds_memory]
        return sum(engine.gpu_memory_fraction for engine in bounded) * device_gib * GIB
    found = 0.0
    for one in training.judges:
        shape = shape_of(model_place(one.model), one.revision)
        size = 2 if one.engine.resolved_dtype(on_gpu=False) == "bfloat16" else 4
        found += JUDGE_CPU + (0.0 if shape is None else size * shape.parameters)
    return found / training.hardware.processes


def _engine(shape: Shape, training: Training, device_gib: float) -> float:
    """The engine of a stage that samples, in the trainer's process."""
    rollout = getattr(training.stage, "rollout", None)
    if rollout is None or not kind_of(training.stage).explores:
        return 0.0
    options = rollout.engine
    memory = engine_kind(options.type).memory
    if training.on_gpu and memory == "reserved":
        return (getattr(options, "gpu_memory_fraction", None) or BESIDE_TRAINER) * device_gib * GIB
    if memory == "elsewhere":
        return 0.0
    size = 2 if options.resolved_dtype(on_gpu=training.on_gpu) == "bfloat16" else 4
    at_once = min(options.max_sequences, rollout.problems_per_step * rollout.generations // training.hardware.processes)
    length = rollout.max_prompt_tokens + rollout.max_completion_tokens
    cache = 2.0 * shape.layers * shape.key_width * size * at_once * length
    return size * shape.parameters + cache
