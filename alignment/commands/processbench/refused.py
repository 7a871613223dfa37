"""What scores in `alignment processbench`, and the options that nothing reads or that do not go together, in words.

Neighbour: __init__.py (the options).
"""

from dataclasses import dataclass

from alignment.commands.processbench.judge import judge_fault
from alignment.core.errors import OptionError
from alignment.evaluation.process.work import ProcessWork
from alignment.recipe.kinds import Leaves


@dataclass(frozen=True)
class Scorer:
    """A kind of scores: the option that asks for it, what a stage has to leave for it, and how its model is called in output."""

    option: str
    leaves: Leaves
    said: str


TRAINED = Scorer("", "process_model", "{}")
LOGPROBS = Scorer("--logprobs", "policy", "log-probs of {}")
GENERATIVE = Scorer("--generative", "policy", "answers of {}")


def scorer_of(work: ProcessWork) -> Scorer | None:
    """What scores steps; None for a judge, which names the first wrong one."""
    if work.judge is not None:
        return None
    return LOGPROBS if work.logprobs else GENERATIVE if work.generative else TRAINED


def refuse(work: ProcessWork) -> None:
    """Raise OptionError with the first thing that cannot work."""
    fault = _nothing_to_measure(work) or _no_judge(work) or _no_scorer(work) or _no_search(work)
    if fault:
        raise OptionError(fault)


def _nothing_to_measure(work: ProcessWork) -> str | None:
    if not (work.files or work.tasks):
        return "there is nothing to measure on: write --data FILE with step labels, or --tasks chain-sum"
    if work.policy is not None and not work.tasks:
        return "best-of-N needs problems: write --tasks NAME beside --policy"
    if work.outcome is not None and work.policy is None:
        return "an outcome reward chooses among answers: write --policy beside --outcome"
    return None


def _no_judge(work: ProcessWork) -> str | None:
    """Options of a judge without one, one that cannot be asked, and options of scores that a judge does not give."""
    if work.judge is None:
        return None
    if not work.judge["base_url"]:
        return "--judge-model, --judge-key-env and --judge-prices belong to a judge: write --judge URL beside them"
    given = {
        "--logprobs": work.logprobs, "--generative": work.generative, "--policy": work.policy, "--beams": work.beams,
        "--threshold-from": work.threshold_file, "--threshold": work.threshold is not None,
        "--dtype": work.precision != "auto", "--no-stress": not work.stress,
    }  # fmt: skip
    if idle := [name for name, one in given.items() if one]:
        return f"a judge names the first wrong step and gives no scores: leave out {', '.join(idle)}"
    return judge_fault(str(work.judge["base_url"]), str(work.judge["api_key_env"]))


def _no_scorer(work: ProcessWork) -> str | None:
    if work.logprobs and work.generative:
        return "a model gives one kind of score: write --logprobs or --generative"
    if (work.logprobs or work.generative) and work.engine == "vllm":
        option = "--logprobs" if work.logprobs else "--generative"
        return f"scores of {option} are computed by transformers: leave out --engine vllm"
    return None


def _no_search(work: ProcessWork) -> str | None:
    """Why there can be no beam search."""
    if work.beams and work.policy is None:
        return "a beam search needs a policy that answers: write --policy beside --beams"
    if work.beams and (work.logprobs or work.generative) and work.steps in ("statement", "block"):
        return f"beam search samples one step at a time, and {work.steps}s are known in a whole program: write --steps line"
    return None
