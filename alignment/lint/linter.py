"""The tables of faults, and running them on rows and templates.

`row_findings` needs no tokenizer and is fast: `alignment check` calls it. `inspect` also renders: `alignment lint` and
every sft stage, before it trains, call it. A new fault is one function and one line in a table here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from alignment.core.errors import DataError
from alignment.lint import loss_faults, template_faults, text_faults, tool_faults, turn_faults
from alignment.lint.cases import Case, malformed
from alignment.lint.findings import SEVERITIES, Finding, Intent, count_of
from alignment.lint.template_faults import Setting
from alignment.lint.views import View, view

# Format faults in rows that a policy wrote and the rewards accepted: warnings, since one such row must not end a run.
POLICY_FAULTS = (
    "unclosed_think", "think_tag_misplaced", "special_token_in_text", "flag_contradicts", "empty_text", "other_think_tag",
    "tool_results_astray",
)  # fmt: skip
MAX_ERRORS_SHOWN = 5  # in the message that refuses a stage

RowFault = Callable[[Case, Intent], Iterator[Finding]]
LossFault = Callable[[View, Intent], Iterator[Finding]]
TemplateFault = Callable[[Setting, Sequence[View], Intent], Iterator[Finding]]

ROW_FAULTS: tuple[RowFault, ...] = (
    text_faults.content_not_text,
    text_faults.empty_text,
    text_faults.other_think_tag,
    text_faults.half_character,
    text_faults.unclosed_think,
    text_faults.think_tag_misplaced,
    text_faults.think_tag_in_prompt,
    text_faults.special_token_in_text,
    turn_faults.role_order,
    turn_faults.flag_contradicts,
    turn_faults.no_answer_to_imitate,
    tool_faults.tool_response_outside,
    tool_faults.tool_response_without_call,
    tool_faults.tool_results_astray,
    tool_faults.undeclared_tool,
    tool_faults.tool_calls_torn,
    tool_faults.tool_arguments_encoded_twice,
)
LOSS_FAULTS: tuple[LossFault, ...] = (
    loss_faults.history_thinking,
    loss_faults.thinking_not_rendered,
    loss_faults.loss_on_prompt,
    loss_faults.loss_on_forced_text,
    loss_faults.empty_think,
    loss_faults.end_of_turn_without_loss,
    loss_faults.no_loss,
    loss_faults.double_bos,
    loss_faults.too_long,
    loss_faults.tool_turns_in_text,
    loss_faults.tools_not_rendered,
)
TEMPLATE_FAULTS: tuple[TemplateFault, ...] = (
    template_faults.no_generation_markers,
    template_faults.templates_differ,
    template_faults.template_replaced,
    template_faults.no_end_of_turn,
    template_faults.pad_is_end_of_turn,
    template_faults.bos_added_again,
)


@dataclass(frozen=True)
class Inspection:
    """The rows inspected under one name, and what was found, errors first."""

    name: str
    findings: list[Finding]
    views: list[View] = field(default_factory=list)
    ids: dict[int, str] = field(default_factory=dict)  # from a row's number to its id in the data

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return sum(len(view.input_ids) for view in self.views)

    @property
    def trained_tokens(self) -> int:
        """Tokens of all rows that carry loss."""
        return sum(view.trained_tokens for view in self.views)

    def place(self, finding: Finding) -> str:
        """The id of a finding's row as a prefix, `id, `; empty for a fault of the template."""
        return "" if finding.row is None else f"{self.ids.get(finding.row, '')}, "


def row_findings(case: Case, intent: Intent) -> list[Finding]:
    """The faults of a row that need no tokenizer; of a malformed row, only that it is malformed."""
    found = list(malformed(case))
    found = found or [finding for fault in ROW_FAULTS for finding in fault(case, intent)]
    return [
        _as_warning(finding) if case.from_policy and finding.code in POLICY_FAULTS else finding for finding in found
    ]


def inspect(
    setting: Setting, cases: Sequence[Case], intent: Intent, name: str, known: Sequence[Finding] = ()
) -> Inspection:
    """Render rows and look for every fault. known: findings from reading the rows, to be included."""
    intent = replace(intent, markers=setting.vocabulary.markers)
    findings, views = list(known), []
    for case in cases:
        found = row_findings(case, intent)
        if not any(finding.code == "not_a_conversation" for finding in found):
            rendered = _view(setting, case, intent)
            if isinstance(rendered, Finding):
                found.append(rendered)
            else:
                views.append(rendered)
                found += _without_effects(found, [one for fault in LOSS_FAULTS for one in fault(rendered, intent)])
        findings += found
    ids = {case.number: case.conversation.id for case in cases}
    findings += [one for fault in TEMPLATE_FAULTS for one in fault(setting, views, intent)]
    return Inspection(name, sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)), views, ids)


def refuse_errors(inspection: Inspection) -> int:
    """Return the number of warnings. Raises DataError with the first errors if there are any."""
    errors = [finding for finding in inspection.findings if finding.severity == "error"]
    if errors:
        more = f"\n… and {len(errors) - MAX_ERRORS_SHOWN} more" if len(errors) > MAX_ERRORS_SHOWN else ""
        shown = "\n".join(f"{inspection.name}: {inspection.place(one)}{one}" for one in errors[:MAX_ERRORS_SHOWN])
        raise DataError(f"{shown}{more}\n`alignment lint` shows these rows token by token")
    return count_of(inspection.findings, "warning")


def _as_warning(finding: Finding) -> Finding:
    advice = "add {kind: think_format, weight: 0, gate: true} to the rewards of the sample stage that accepted it"
    return replace(finding, severity="warning", advice=advice)


def _view(setting: Setting, case: Case, intent: Intent) -> View | Finding:
    from jinja2 import TemplateError

    try:
        return view(setting.tokenizer, setting.vocabulary, case, intent)
    except (TemplateError, TypeError, ValueError) as error:
        return Finding(
            "template_refuses",
            "error",
            case.number,
            f"the chat template cannot render it: {error}",
            "fix the row, or use a template that can render it",
        )


def _without_effects(known: Sequence[Finding], found: Sequence[Finding]) -> list[Finding]:
    """The findings that do not follow from a known one: a cause is reported, and its effects on the loss are not."""
    codes = {finding.code for finding in known}
    causes = {"special_token_in_text", "unclosed_think", "content_not_text"}
    effects = {
        "thinking_not_rendered",
        "prompt_mismatch",
        "loss_on_prompt",
        "end_of_turn_without_loss",
        "empty_think_without_loss",
    }
    if "no_loss" in codes or codes & causes:
        codes |= {*effects, "no_loss"}
    if "think_tag_misplaced" in codes:
        codes.add("thinking_not_rendered")  # what stands between or before the blocks is lost
    if "flag_contradicts" in codes:
        codes.add("prompt_mismatch")  # the prompt asks for the mode that the answer does not have
    return [finding for finding in found if finding.code not in codes]
