"""A good recipe with every kind of stage, and the ways to break it: what is edited, and what the error has to say.

`at` is the text whose line the error has to name; left out, what the edit put in. test_broken_recipes.py runs them.
"""

from dataclasses import dataclass

GOOD = """\
name: every-kind
model: embedded
seed: 17
hardware: {accelerate: cpu, processes: 1}
chat_template: qwen3
stages:
  - name: cold_start
    kind: sft
    data: tiny-cold-start
    max_length: 512
    trainer: {num_train_epochs: 2, learning_rate: 5.0e-4}
  - name: reasoning_rl
    kind: grpo
    start_from: cold_start
    data: tiny-reasoning
    rollout: &rollout
      generations: 8
      problems_per_step: 16
      max_prompt_tokens: 128
      max_completion_tokens: 192
    rewards:
      - {kind: math_answer, weight: 1.0}
      - {kind: think_format, weight: 0.2}
    micro_batch: 32
    trainer: {max_steps: 40}
  - name: fusion_data
    kind: sample
    data:
      - {source: chain-sum, split: fusion, count: 64}
    rollout: {max_prompt_tokens: 128, generations: 2, max_completion_tokens: 192}
    rewards: [{kind: math_answer}]
  - name: mode_fusion
    kind: sft
    data: [{stage: fusion_data, flag_fraction: 0.5}]
    max_length: 512
  - name: fusion_mix
    kind: fusion
    data:
      - {stage: fusion_data}
      - {source: chain-sum, split: fusion, count: 64, seed: 5, mode: non_thinking}
    max_length: 500
  - name: both_modes
    kind: sft
    data: [{stage: fusion_mix}]
    max_length: 510
  - name: preference
    kind: dpo
    data: [{stage: fusion_data}]
    max_length: 512
    lora: {rank: 8, targets: all-linear}
  - name: general_rl
    kind: grpo
    data: tiny-general
    rollout: {<<: *rollout, thinking_fraction: 0.6}
    rewards:
      - kind: math_answer
    micro_batch: 32
evaluations:
  after_each_stage: [chain-sum]
  budgets: [0, 16, 64]
  max_prompt_tokens: 128
  max_completion_tokens: 192
"""


@dataclass(frozen=True)
class Broken:
    """One edit of GOOD (of all of it where `old` is empty) or `--set`, and the fragments that its error has to hold."""

    name: str
    old: str
    new: str
    errors: tuple[str, ...]
    at: str = ""
    overrides: tuple[str, ...] = ()


def replaced(name: str, old: str, new: str, *errors: str, at: str = "") -> Broken:
    return Broken(name, old, new, errors, at)


def overridden(name: str, override: str, *errors: str) -> Broken:
    return Broken(name, "", "", (f"--set {override}: ", *errors), overrides=(override,))


SPLIT = "{source: chain-sum, split: fusion, count: 64}"
MIXED = "- {source: chain-sum, split: fusion, count: 64, seed: 5, mode: non_thinking}"
DPO_DATA = "kind: dpo\n    data: [{stage: fusion_data}]"
GRPO_DATA = "data: tiny-reasoning"

FORM = [
    replaced("a typo in a key of the recipe", "seed: 17", "sead: 17", "sead: unknown key; did you mean `seed`?"),
    replaced("a typo in a key of hardware", "processes: 1", "proceses: 1", "hardware.proceses", "`processes`", at="hardware"),
    replaced("a typo in a key of a stage", "max_length: 512", "max_lenght: 512", "stages.cold_start.max_lenght", "`max_length`"),
    replaced("a typo in a key of a rollout", "generations: 8", "generation: 8", "reasoning_rl.rollout.generation:", "`generations`"),
    replaced("a typo in a key of a mixture part", "split: fusion", "splitt: fusion", "fusion_data.data.0.splitt", "`split`?", at="- {source"),
    replaced("a typo in a key of lora", "rank: 8", "ranks: 8", "stages.preference.lora.ranks", "`rank`", at="lora"),
    replaced("a typo in a key of the evaluations", "budgets: [0", "budget: [0", "evaluations.budget:", "`budgets`"),
    replaced("a typo in a data override", "seed: 17", "data: {sources: {chain-sum: {pth: x}}}", "data.sources.chain-sum.pth", "`path`"),
    replaced("a typo in a tracker", "seed: 17", "seed: 17\nreport_to: [tensorbord]", "report_to.0: there is no tracker", "`tensorboard`", at="report_to"),
    replaced("an added token that is no text", "seed: 17", "seed: 17\nadd_tokens: ['<plan>', ' ']", "add_tokens.1: found ' '", "leave it out", at="add_tokens"),
    replaced("an added token twice", "seed: 17", "seed: 17\nadd_tokens: ['<plan>', '<plan>']", "add_tokens.1: `<plan>` stands here twice", at="add_tokens"),
    replaced("a key of another kind", "max_length: 512", "micro_batch: 8", "stages.cold_start.micro_batch: unknown key"),
    replaced("text for a number", "seed: 17", "seed: many", "seed: found 'many', and a whole number is needed"),
    replaced("a seed that numpy does not take", "seed: 17", "seed: -1", "seed: found -1: input should be greater than or equal to 0"),
    replaced("a fraction for a count", "generations: 8", "generations: 8.5", "found 8.5, and a whole number is needed"),
    replaced("a number for a name", "name: every-kind", "name: 17", "name: found 17, and text is needed", "in quotes"),
    replaced("a list for a mapping", "trainer: {max_steps: 40}", "trainer: [40]", "reasoning_rl.trainer: found [40], and a mapping is needed"),
    replaced("a mapping for a list of parts", "[{stage: fusion_data, flag_fraction: 0.5}]", "{stage: fusion_data}", "mode_fusion.data: found", "a list is needed: write `- `", at="data: {stage"),
    replaced("a number for data", GRPO_DATA, "data: 7", "reasoning_rl.data: found 7, and text is needed"),
    replaced("a number for a stage", "stages:\n", "stages:\n  - 5\n", "stages.0: found 5, and a mapping is needed", at="- 5"),
    replaced("a number below its least", "generations: 8", "generations: 0", "rollout.generations: found 0: input should be greater"),
    replaced("a share above 1", "flag_fraction: 0.5", "flag_fraction: 5", "mode_fusion.data.0.flag_fraction: found 5", "less than or equal to 1", at="flag_fraction"),
    replaced("a typo in a key of a fusion", "max_length: 500", "unflagged_shar: 0.5", "fusion_mix.unflagged_shar: unknown key; did you mean `unflagged_fraction`?"),
    replaced("a fusion that only thinks", "max_length: 500", "thinking_fraction: 1", "fusion_mix.thinking_fraction: found 1: input should be less than 1", at="thinking_fraction"),
    replaced("a share of turns above 1", "max_length: 500", "multi_turn_fraction: 1.5", "fusion_mix.multi_turn_fraction: found 1.5", "less than or equal to 1", at="multi_turn"),
    replaced("earlier turns of one question", "max_length: 500", "max_turns: 1", "fusion_mix.max_turns: found 1: input should be greater than or equal to 2", at="max_turns"),
    replaced("an unknown algorithm", "micro_batch: 32", "algorithm: dappo", "reasoning_rl.algorithm: there is no algorithm 'dappo'; did you mean `dapo`?"),
    replaced("an algorithm without a type", "micro_batch: 32", "algorithm: {clip_high: 0.3}", "algorithm: has no `type`; write one of: grpo, dapo"),
    replaced("a typo in an algorithm's key", "micro_batch: 32", "algorithm: {type: gspo, clip_hihg: 0.3}", "reasoning_rl.algorithm.clip_hihg: unknown key; did you mean `clip_high`?"),
    replaced("another algorithm's key", "micro_batch: 32", "algorithm: {type: cispo, clip_high: 0.3}", "reasoning_rl.algorithm.clip_high: unknown key;"),
    replaced("an advantage that does not exist", "micro_batch: 32", "algorithm: {type: dapo, advantages: groups}", "algorithm.advantages: found 'groups'"),
    replaced("an unknown kind of stage", "kind: dpo", "kind: dqo", "stages.preference.kind: found 'dqo'", "did you mean `dpo`?"),
    replaced("a stage without a kind", "    kind: dpo\n", "", "stages.preference.kind: is missing", "fusion, grpo, prm, reward_model, sample, sft, step_labels", at="- name: preference"),
    replaced("a stage without a name", "- name: preference\n    kind", "- kind", "name: is missing: Name of the stage", at="- kind: dpo"),
    replaced("a stage without data", "    data: tiny-cold-start\n", "", "cold_start.data: is missing: A mixture", at="- name: cold_start"),
    replaced("a stage without rewards", "    rewards: [{kind: math_answer}]\n", "", "fusion_data.rewards: is missing", at="- name: fusion_data"),
    replaced("a recipe without a model", "model: embedded\n", "", "model: is missing: The base model", at="name: every"),
    replaced("a stage name with blanks", "name: cold_start", "name: Cold Start", "only lower-case letters", "write `cold_start`"),
    replaced("engine workers beside a trainer", "problems_per_step: 16", "problems_per_step: 16\n      engine: {workers: 2}", "rollout.engine.workers: each training process samples in itself", at="engine"),
    replaced("an adapter that no stage trains", "problems_per_step: 16", "problems_per_step: 16\n      engine: {type: vllm_server, weight_transfer: lora}", "weight_transfer: lora sends an adapter, and this stage trains none", at="engine"),
    replaced("servers from two places", "problems_per_step: 16", "problems_per_step: 16\n      engine: {type: vllm_server, workers: 2, endpoints: ['http://a:8000']}", "endpoints are servers that run already, and workers are started", at="engine"),
    replaced("an engine that does not exist", "generations: 2", "engine: vlm", "rollout.engine: found 'vlm'; did you mean `vllm`?", at="engine"),
    replaced("a split that does not exist", "split: fusion", "split: fussion", "found 'fussion'; did you mean `fusion`?", at="- {source"),
    replaced("a part from two places", "stage: fusion_data, flag", "stage: fusion_data, source: chain-sum, flag", "either `source` or `stage`", at="data: [{stage: fusion_data, s"),
    replaced("a key that stands twice", "seed: 17", "seed: 17\nmodel: embedded", "model: `model` is twice", "first in line 2", at="model: embedded\nhardware"),
    replaced("a colon too many", "model: embedded", "model: embedded: yes", ":2: this is not valid YAML: mapping values are not allowed"),
    replaced("an open bracket", "budgets: [0, 16, 64]", "budgets: [0, 16, 64", "not valid YAML: the bracket opened here is not closed", "in line 61"),
    replaced("a tab", "    kind: dpo", "\tkind: dpo", "not valid YAML", "indent with spaces, not with tabs"),
    replaced("an unknown anchor", "*rollout", "*rolout", "not valid YAML: found undefined alias 'rolout'", at="*rolout"),
    replaced("a mapping that holds itself", "&rollout\n", "&rollout\n      again: *rollout\n", "this part contains itself", at="&rollout"),
    replaced("a date that is none", "name: every-kind", "name: 2026-13-45", "not valid YAML: month must be in 1..12"),
    replaced("a tag that runs code", "seed: 17", "seed: !!python/object/apply:os.getpid []", "not valid YAML", "is not allowed in a recipe"),
    replaced("a control character", "seed: 17", "seed: \x07", ":3: this is not valid YAML: the character '\\x07'"),
    replaced("a bracket in a key", "seed: 17", "se[d: 17", "se[d: unknown key; did you mean `seed`?"),
    replaced("two documents in one file", "seed: 17", "---\nseed: 17", "not valid YAML: but found another document", at="---"),
    replaced("a merge of what is no mapping", "{<<: *rollout,", "{<<: general,", "`<<` merges a mapping or a list of mappings", at="rollout: {<<"),
    replaced("a tag that does not fit", "seed: 17", "seed: !!int seventeen", "not valid YAML: invalid literal for int()"),
    Broken("an empty file", "", "# nothing yet\n", ("name: is missing", "model: is missing", "stages: is missing", "3 errors"), "#"),
    Broken("a list in place of a mapping", "", "- name: x\n", (":1: a recipe is a mapping with name, model and stages; found a list",), "- name"),
    Broken("text in place of a mapping", "", "embedded\n", ("found text",), "embedded"),
]  # fmt: skip

MEANING = [
    replaced("a stage that starts from itself", "start_from: cold_start", "start_from: reasoning_rl", "`reasoning_rl` cannot use its own output"),
    replaced("a cycle in start_from", "kind: sft\n    data: tiny", "kind: sft\n    start_from: general_rl\n    data: tiny", "runs after `cold_start`, which would be a cycle", at="start_from: general_rl"),
    replaced("a start from a stage that does not exist", "start_from: cold_start\n", "start_from: coldstart\n", "no stage before this one that leaves a policy is called `coldstart`; did you mean `cold_start`?"),
    replaced("a policy from a sample stage", "data: tiny-general", "data: tiny-general\n    start_from: fusion_data", "`fusion_data` leaves no policy", at="start_from: fusion_data"),
    replaced("a name given twice", "name: preference", "name: mode_fusion", "stages.mode_fusion.name: two stages are called `mode_fusion`", at="- name: mode_fusion\n    kind: dpo"),
    replaced("an unknown mixture", "data: tiny-cold-start", "data: tiny-cold-strat", "there is no mixture `tiny-cold-strat`; did you mean `tiny-cold-start`?"),
    replaced("an unknown source", SPLIT, "{source: chain-sums, count: 9}", "there is no source `chain-sums`; did you mean `chain-sum`?"),
    replaced("data that is empty", "data: [{stage: fusion_data, flag_fraction: 0.5}]", "data: []", "mode_fusion.data: is empty"),
    replaced("training on evaluation data", "split: fusion", "split: evaluation", "fusion_data.data.0.split: `chain-sum` is reserved for evaluation", at="- {source"),
    replaced("two stages on one split", "split: fusion", "split: reasoning", "`reasoning` of `chain-sum` is already used by reasoning_rl", "choose another split", at="- {source"),
    replaced("two stages on one split by two names", SPLIT, SPLIT.replace("chain-sum", "chain-sum-boxed").replace("fusion", "reasoning"), "`reasoning` of `chain-sum-boxed`, as `chain-sum` with the same problems, is already used by reasoning_rl"),
    replaced("a parameter that a generator does not have", SPLIT, SPLIT.replace("}", ", parameters: {max_term: 3}}"), "fusion_data.data.0.parameters.max_term: `chain-sum` has no parameter `max_term`: reasoning-gym's chain_sum has no such parameter; did you mean `max_terms`?", at="- {source"),
    replaced("a parameter that another key decides", SPLIT, SPLIT.replace("}", ", parameters: {size: 3}}"), "`chain-sum` has no parameter `size`: it is set elsewhere: write `count` beside `parameters`", at="- {source"),
    replaced("a parameter that a family does not have", SPLIT, SPLIT.replace("chain-sum", "instructions").replace("}", ", parameters: {constraints: 1}}"), "the family instructions has no such parameter; did you mean `most_constraints`?", at="- {source"),
    replaced("a parameter of a table", SPLIT, "{source: math-train, parameters: {max_terms: 3}}", "fusion_data.data.0.parameters: `math-train` is a table, which has no parameters", at="- {source"),
    replaced("a parameter of a task that it does not have", "budgets: [0", "parameters: {chain-sum: {max_digit: 1}}\n  budgets: [0", "evaluations.parameters.chain-sum.max_digit: `chain-sum` has no parameter `max_digit`", "did you mean `max_digits`?", at="parameters"),
    replaced("parameters of a task that is not measured", "budgets: [0", "parameters: {chain-sun: {}}\n  budgets: [0", "evaluations.parameters.chain-sun: `chain-sun` is not a task of after_each_stage; did you mean `chain-sum`?", at="parameters"),
    replaced("training on what a table keeps for evaluation", SPLIT, "{source: gsm8k-test}", "fusion_data.data.0.source: `gsm8k-test` is reserved for evaluation"),
    replaced("measuring on what is for training", "[chain-sum]", "[gsm8k-train]", "`gsm8k-train` is for training; name a source with `use: evaluation`", at="after_each"),
    replaced("a batch beyond all bounds", "micro_batch: 32\n    trainer", "micro_batch: 99999999999999999999\n    trainer", "write micro_batch 128"),
    replaced("a model of no kind", "model: embedded", "model: mine", "there is no folder mine; write `embedded`, a folder beside the recipe, or a hub id"),
    replaced("a procedural source without a split", "split: fusion, ", "", "write `split`", at="- {source"),
    replaced("a procedural source without a count", ", count: 64", "", "generates an unlimited number of problems; write `count`", at="- {source"),
    replaced("dpo from a source", DPO_DATA, DPO_DATA.replace("{stage: fusion_data}", "{source: chain-sum, split: fusion, count: 9}"), "a dpo stage takes judged pairs; write `stage: NAME`", at="data: [{source"),
    replaced("rows of a stage that does not sample", DPO_DATA, DPO_DATA.replace("fusion_data", "mode_fusion"), "`mode_fusion` leaves no pairs", at="data: [{stage: mode_fusion"),
    replaced("grpo from a sample stage", "data: tiny-general", "data: [{stage: fusion_data}]", "a grpo stage needs problems with answers", "name a source", at="data: [{stage: fusion_data}]\n    rollout"),
    replaced("a fusion of a stage that does not exist", "- {stage: fusion_data}", "- {stage: fusion_dat}", "fusion_mix.data.0.stage: no stage before this one that leaves rows is called `fusion_dat`; did you mean `fusion_data`?"),
    replaced("a fusion of a policy", "- {stage: fusion_data}", "- {stage: cold_start}", "`cold_start` leaves no rows"),
    replaced("a fusion of itself", "- {stage: fusion_data}", "- {stage: fusion_mix}", "`fusion_mix` cannot use its own output"),
    replaced("a fusion of rows without answers", MIXED, MIXED.replace("chain-sum", "instructions"), "fusion_mix.data.1.source: `instructions` has no answers to train on", at="- {source: instructions"),
    replaced("a fusion without non-thinking rows", ", mode: non_thinking", "", "fusion_mix.data: no part of it gives non-thinking rows", "add `{source: NAME, mode: non_thinking}`", at="data:\n      - {stage: fusion_data}"),
    replaced("a fusion without thinking rows", "      - {stage: fusion_data}\n", "", "fusion_mix.data: no part of it gives thinking rows", "add `{stage: NAME}` of a sample stage", at="data:\n      " + MIXED),
    replaced("a fusion of a sample stage that never thinks", "generations: 2, max", "generations: 2, thinking_fraction: 0, max", "fusion_mix.data: no part of it gives thinking rows", at="data:\n      - {stage: fusion_data}"),
    replaced("thinking from answers without worked solutions", MIXED, MIXED + "\n      - {source: math-train, split: fusion}", "fusion_mix.data.2.source: `math-train` has no worked solutions", "write mode: non_thinking", at="- {source: math-train"),
    replaced("more thinking rows than can be accepted", "max_length: 500", "rows: 200", "fusion_mix.rows: 200 rows at thinking_fraction 0.5 need 100 thinking rows, and its data gives at most 64; write at most 128", "need 100 non-thinking rows", at="rows: 200"),
    replaced("flags of a part of a fusion", "- {stage: fusion_data}", "- {stage: fusion_data, flag_fraction: 0.5}", "fusion_mix.data.0.flag_fraction: the fusion stage adds the flags itself; write `unflagged_fraction`", at="- {stage: fusion_data, flag_fraction: 0.5}"),
    replaced("flags on the rows of a fusion", "[{stage: fusion_mix}]", "[{stage: fusion_mix, flag_fraction: 0.5}]", "both_modes.data.0.flag_fraction: the rows of `fusion_mix` already have flags"),
    replaced("rows of a fusion that are left out", "max_length: 510", "max_length: 256", "both_modes.max_length: found 256, and the rows of `fusion_mix` have up to 500 tokens", "write max_length 256 there too, or 500 here"),
    replaced("loss on a fusion's earlier turns", "max_length: 510", "max_length: 510\n    loss_on_history: true", "both_modes.loss_on_history: the template strips the thinking of earlier turns", "write false", at="loss_on_history"),
    replaced("pairs of a fusion", DPO_DATA, DPO_DATA.replace("fusion_data", "fusion_mix"), "preference.data.0.stage: `fusion_mix` leaves no pairs", at="data: [{stage: fusion_mix}]\n    max_length: 512"),
    replaced("a file that is not there", "seed: 17", "data: {sources: {chain-sum: {path: gone.jsonl}}}", "data.sources.chain-sum.path: gone.jsonl is not a file"),
    replaced("a batch that does not divide", "problems_per_step: 16", "problems_per_step: 15", "15 problems x 8 generations are 120 completions", "write micro_batch 30", at="    micro_batch: 32\n    trainer"),
    replaced("groups of one", "generations: 8", "generations: 1", "the advantage of a group of one is always zero; write at least 2"),
    replaced("an unknown reward", "{kind: think_format, weight", "{kind: think_formt, weight", "reasoning_rl.rewards.think_formt: there is no reward kind 'think_formt'; did you mean 'think_format'?"),
    replaced("an unknown reward option", "- kind: math_answer\n", "- kind: math_answer\n        timeout: 4\n", "rewards.math_answer.timeout: math_answer has no option 'timeout'; did you mean 'timeout_seconds'?", at="timeout: 4"),
    replaced("a reward option of the wrong type", "[{kind: math_answer}]", "[{kind: math_answer, workers: two}]", "rewards.math_answer.workers: workers must be int, not 'two'"),
    replaced("a reward for a task that no row is of", "{kind: think_format, weight: 0.2}", "{kind: think_format, weight: 0.2, tasks: [chain-sums]}", "rewards.think_format.tasks: found chain-sums, and no row of this stage is of such a task; did you mean `chain-sum`?", at="tasks: [chain-sums]"),
    replaced("two rewards with one name", "{kind: think_format, weight: 0.2}", "{kind: math_answer}", "2 rewards are called 'math_answer'; give each its own `name`", at="rewards:"),
    replaced("weights that are all 0", "- kind: math_answer\n", "- {kind: math_answer, weight: 0}\n", "every weight is 0", at="    rewards:\n      - {kind: math_answer, weight: 0}"),
    replaced("a pass rate that nothing meets", "generations: 2, max_completion_tokens: 192}", "generations: 2}\n    pass_rate: [0.9, 0.1]", "fusion_data.pass_rate: is [lowest, highest]", at="pass_rate"),
    replaced("a trainer key that does not exist", "learning_rate: 5.0e-4", "learnin_rate: 5.0e-4", "trainer.learnin_rate: TRL's SFTConfig has no such field; did you mean `learning_rate`?", at="trainer"),
    replaced("a trainer key of the algorithm", "{max_steps: 40}", "{loss_type: dapo}", "trainer.loss_type: is set by the stage: write `algorithm: NAME` beside `trainer`, one of: grpo, dapo"),
    replaced("a clip bound among the trainer's keys", "{max_steps: 40}", "{epsilon_high: 0.28}", "trainer.epsilon_high: is set by the stage: write `clip_high` under `algorithm`"),
    replaced("a loss in a module that is not there", "micro_batch: 32", "algorithm: {type: dapo, loss: nowhere_at_all:mine}", "algorithm.loss: `nowhere_at_all:mine`: module `nowhere_at_all` cannot be imported"),
    replaced("a loss that its module does not have", "micro_batch: 32", "algorithm: {type: dapo, loss: json:mine}", "has no function `mine`; it has"),
    replaced("advantages that take something else", "micro_batch: 32", "algorithm: {type: dapo, advantages: json:detect_encoding}", "is called with (rewards_NG, mask_NGT) and takes (b)"),
    replaced("importance weights of a tempered policy", "rollout: &rollout\n", "algorithm: {type: dapo, importance_cap: 2}\n    rollout: &rollout\n      temperature: 0.7\n", "algorithm.importance_cap", "temperature 1", at="importance_cap"),
    replaced("older weights without a server", "rollout: &rollout\n", "algorithm: {type: dapo, importance_cap: 2}\n    rollout: &rollout\n      max_staleness: 1\n", "rollout.max_staleness: engine auto samples in the trainer's process; write type vllm_server, or 0", at="max_staleness"),
    replaced("older weights without a correction", "rollout: &rollout\n", "algorithm: {type: dapo, iterations: 2}\n    rollout: &rollout\n      max_staleness: 1\n", "write `importance_cap: 2` under `algorithm`, or 0", "algorithm.iterations 2 trains on rows that would be older still", at="max_staleness"),
    Broken("an adapter alone that changes under completions", "{max_steps: 40}", "{max_steps: 41}", ("rollout.engine.weight_transfer: sends an adapter alone, which cannot change while completions go on (max_staleness 2); write shm, tcp, or max_staleness 1",), "", ("stages.reasoning_rl.rollout.engine={type: vllm_server}", "stages.reasoning_rl.rollout.max_staleness=2", "stages.reasoning_rl.algorithm={type: dapo, importance_cap: 2}", "stages.reasoning_rl.lora.rank=4")),
    replaced("exploration of an order that draws nothing", "rollout: &rollout\n", "rollout: &rollout\n      order: {explore: 0.5}\n", "rollout.order.explore: is the fraction that `by: reward_variance` and `task_variance` do not draw by variance", at="explore"),
    replaced("an order that is not there", "rollout: &rollout\n", "rollout: &rollout\n      order: difficulty\n", "rollout.order.by", at="order"),
    Broken("two orders of problems", "{max_steps: 40}", "{shuffle_dataset: false}", ("trainer.shuffle_dataset: changes nothing: `rollout.order` is by reward_variance",), "shuffle_dataset", ("stages.reasoning_rl.rollout.order=reward_variance",)),
    replaced("a trainer key of the stage", "{max_steps: 40}", "{num_generations: 8}", "trainer.num_generations: is set by the stage: write `generations` under `rollout`"),
    replaced("a penalty of rollouts that are not TRL's", "{max_steps: 40}", "{repetition_penalty: 1.5}", "trainer.repetition_penalty: is set by the stage: sampling is the stage's own: see `rollout`"),
    replaced("checkpoints without an optimizer", "{max_steps: 40}", "{save_only_model: true}", "trainer.save_only_model: is set by the stage: a checkpoint without the optimizer's state cannot be resumed from"),
    replaced("a resumed epoch that starts again", "{max_steps: 40}", "{ignore_data_skip: true}", "trainer.ignore_data_skip: is set by the stage: a resumed stage would train on the first rows"),
    replaced("a reference that no checkpoint holds", "{max_steps: 40}", "{sync_ref_model: true}", "trainer.sync_ref_model: is set by the stage: a reference that moves is not in a checkpoint"),
    replaced("evaluation by a trainer without rows", "{max_steps: 40}", "{eval_strategy: steps}", "trainer.eval_strategy: is set by the stage: it has no effect: a policy is measured after the stage"),
    replaced("an order that a resumed stage loses", "learning_rate: 5.0e-4", "train_sampling_strategy: group_by_length", "train_sampling_strategy: `group_by_length` draws each epoch's order from the one before", at="trainer"),
    replaced("a checkpoint between steps on the same rollouts", "micro_batch: 32", "algorithm: {type: dapo, iterations: 2}\n    save_every_steps: 5", "save_every_steps: 2 optimizer steps share their rollouts", "write 6", at="save_every"),
    replaced("a learning rate that YAML reads as text", "5.0e-4", "1e-5", "YAML reads 1e-5 as text; write 1.0e-5", at="trainer"),
    replaced("any setting that YAML reads as text", "max_steps: 40", "weight_decay: 1.5e2", "YAML reads 1.5e2 as text; write 1.5e+2", at="trainer: {weight"),
    replaced("zero steps", "max_steps: 40", "max_steps: 0", "trainer.max_steps: found 0, with which nothing is trained", at="trainer: {max"),
    replaced("half a step", "max_steps: 40", "max_steps: 0.5", "trainer.max_steps: found 0.5; write a whole number", at="trainer: {max"),
    replaced("a budget as long as a completion", "problems_per_step: 16", "problems_per_step: 16\n      thinking_budget: 192", "thinking_budget.most: leaves no token for the answer", at="thinking_budget: 192"),
    replaced("a stop text that stops nothing", "problems_per_step: 16", "problems_per_step: 16\n      thinking_budget: {stop_text: stop}", "has no </think>", at="stop_text"),
    replaced("an evaluation budget above the limit", "[0, 16, 64]", "[0, 192]", "evaluations.budgets.1: found 192", "max_completion_tokens 192", at="budgets"),
    replaced("budgets without a task", "[chain-sum]", "[]", "no task to measure them on; name one in after_each_stage", at="budgets"),
    replaced("an unknown task", "[chain-sum]", "[chain-sun]", "there is no source `chain-sun`; did you mean `chain-sum`?", at="after_each"),
    replaced("half of a mode's sampling", "budgets: [0", "sampling: {thinking: {temperature: 1}}\n  budgets: [0", "sampling.thinking.top_p: is missing", "sampling.non_thinking.temperature: is missing", at="sampling"),
    replaced("rollouts longer than the model's positions", "max_completion_tokens: 192\n    rewards", "max_completion_tokens: 1000\n    rewards", "reasoning_rl.rollout.max_prompt_tokens: max_prompt_tokens 128 and max_completion_tokens 1000 are 1128 tokens", "the model has positions for 1024", "write max_prompt_tokens 24 or less", "general_rl.rollout", at="max_prompt_tokens: 128"),
    replaced("completions longer than the model's positions", "max_completion_tokens: 192\n    rewards", "max_completion_tokens: 2000\n    rewards", "reasoning_rl.rollout.max_completion_tokens: ", "write a max_completion_tokens well below 1024", at="max_completion_tokens: 2000"),
    replaced("samples longer than the model's positions", "generations: 2, max_completion_tokens: 192", "generations: 2, max_completion_tokens: 900", "fusion_data.rollout.max_prompt_tokens: ", "are 1028 tokens"),
    replaced("answers to tasks longer than the model's positions", "max_prompt_tokens: 128\n  max", "max_prompt_tokens: 900\n  max", "evaluations.max_prompt_tokens: max_prompt_tokens 900 and max_completion_tokens 192 are 1092 tokens", "write max_prompt_tokens 832 or less"),
    replaced("rows longer than the model's positions", "max_length: 512\n    trainer", "max_length: 1025\n    trainer", "cold_start.max_length: found 1025, and the model has positions for 1024 (max_position_embeddings in its config.json); write at most 1024"),
    replaced("pairs longer than the model's positions", "    max_length: 512\n    lora", "    lora", "preference.max_length: found 4096, and the model has positions for 1024", at="- name: preference"),
    replaced("an unknown launcher config", "accelerate: cpu", "accelerate: zeroo3", "hardware.accelerate: there is no launcher config `zeroo3`", "cpu", at="hardware"),
    replaced("an unknown template", "chat_template: qwen3", "chat_template: qwen33", "there is no template `qwen33`; did you mean `qwen3`?"),
    replaced("a misspelt embedded model", "model: embedded", "model: embeded", "there is no folder embeded; did you mean `embedded`?"),
    replaced("a hub id written as a path", "model: embedded", "model: ./Qwen/Qwen3-8B-Base", "there is no folder ./Qwen/Qwen3-8B-Base", "a hub id such as Qwen/Qwen3-8B-Base"),
    replaced("a model folder that is missing", "model: embedded", "model: models/smollm2-135m", "there is no folder models/smollm2-135m"),
]  # fmt: skip

OVERRIDES = [
    overridden("a path that is no list item", "stages.cold_strat.max_length=64", "`cold_strat` is not in stages; did you mean `cold_start`?"),
    overridden("a path through a number", "seed.more=1", "seed is a number and has no parts"),
    overridden("a key that does not exist", "sead=1", "sead: unknown key; did you mean `seed`?"),
    overridden("a path whose first part does not exist", "evaluation.count=8", "evaluation: unknown key; did you mean `evaluations`?"),
    overridden("a part of a reward that does not exist", "stages.reasoning_rl.rewards.math_answer.workerz=1", "has no option 'workerz'; did you mean 'workers'?"),
    overridden("an override without =", "seed", "write it as path.by.name=value"),
    overridden("an override without a path", "=3", "write it as path.by.name=value"),
    overridden("a value that is not YAML", "seed=[1", "the value is not valid YAML"),
    overridden("a value of the wrong type", "stages.reasoning_rl.rollout.generations=many", "and a whole number is needed"),
    overridden("a learning rate as text", "stages.reasoning_rl.trainer.learning_rate=1e-5", "write 1.0e-5"),
    overridden("a stage put in the place of another", "stages=[{name: a, kind: sft}]", "stages.a.data: is missing"),
]  # fmt: skip
