"""The tables of faults, and what holds rows and templates against them.

`row_findings` needs no tokenizer and answers at once: `alignment check` runs it. `inspect` renders as well: the command
and the start of an sft stage run it. Adding a fault is adding a function and its line in a table here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from alignment.core.errors import DataError
from alignment.lint import loss_faults, template_faults, text_faults, tool_faults, turn_faults
from alignment.lint.cases import Case, malformed
from alignment.lint.findings import SEVERITIES, Finding, Intent, count_of
from alignment.lint.template_faults import Setting
from alignment.lint.views import View, view

# What a policy gets wrong of the form of an answer. Its rewards let it through, and a run is not ended for one such row.
SLIPS = ("unclosed_think", "think_tag_misplaced", "special_token_in_text", "flag_contradicts")
ERRORS_TOLD = 5  # of one stage, where it is refused

RowFault = Callable[[Case, Intent], Iterator[Finding]]
LossFault = Callable[[View, Intent], Iterator[Finding]]
TemplateFault = Callable[[Setting, Sequence[View], Intent], Iterator[Finding]]

ROW_FAULTS: tuple[RowFault, ...] = (
    text_faults.content_not_text,
    text_faults.unclosed_think,
    text_faults.think_tag_misplaced,
    text_faults.think_tag_in_prompt,
    text_faults.special_token_in_text,
    turn_faults.role_order,
    turn_faults.flag_contradicts,
    turn_faults.no_answer_to_imitate,
    tool_faults.tool_response_outside,
    tool_faults.tool_response_without_call,
    tool_faults.tool_calls_torn,
    tool_faults.tool_arguments_encoded_twice,
)
LOSS_FAULTS: tuple[LossFault, ...] = (
    loss_faults.history_thinking,
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
    template_faults.end_of_turn_is_not_eos,
    template_faults.pad_is_end_of_turn,
    template_faults.bos_added_again,
)


@dataclass(frozen=True)
class Inspection:
    """What was looked at under one name, and what was found, the gravest first."""

    name: str
    findings: list[Finding]
    views: list[View] = field(default_factory=list)
    ids: dict[int, str] = field(default_factory=dict)  # from a row's number to what its data calls it

    @property
    def tokens(self) -> int:
        return sum(len(view.input_ids) for view in self.views)

    @property
    def trained_tokens(self) -> int:
        return sum(view.trained_tokens for view in self.views)

    def place(self, finding: Finding) -> str:
        """What the data calls the row of a finding, to stand before it; nothing for those of the template."""
        return "" if finding.row is None else f"{self.ids.get(finding.row, '')}, "


def row_findings(case: Case, intent: Intent) -> list[Finding]:
    """What is wrong with a row as it stands; of one that is no conversation, only that."""
    found = list(malformed(case))
    found = found or [finding for fault in ROW_FAULTS for finding in fault(case, intent)]
    return [_forgiven(finding) if case.from_policy and finding.code in SLIPS else finding for finding in found]


def inspect(
    setting: Setting, cases: Sequence[Case], intent: Intent, name: str, told: Sequence[Finding] = ()
) -> Inspection:
    """Render rows and look for every fault. told: what reading them has found already."""
    intent = replace(intent, markers=setting.vocabulary.markers)
    findings, views = list(told), []
    for case in cases:
        found = row_findings(case, intent)
        if not any(finding.code == "not_a_conversation" for finding in found):
            rendered = _view(setting, case, intent)
            if isinstance(rendered, Finding):
                found.append(rendered)
            else:
                views.append(rendered)
                found += _beside(found, [one for fault in LOSS_FAULTS for one in fault(rendered, intent)])
        findings += found
    ids = {case.number: case.conversation.id for case in cases}
    findings += [one for fault in TEMPLATE_FAULTS for one in fault(setting, views, intent)]
    return Inspection(name, sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)), views, ids)


def refuse_errors(inspection: Inspection) -> int:
    """The number of warnings. Raises DataError with the first errors, if there are any."""
    errors = [finding for finding in inspection.findings if finding.severity == "error"]
    if errors:
        more = f"\n… and {len(errors) - ERRORS_TOLD} more" if len(errors) > ERRORS_TOLD else ""
        told = "\n".join(f"{inspection.name}: {inspection.place(one)}{one}" for one in errors[:ERRORS_TOLD])
        raise DataError(f"{told}{more}\n`alignment lint` shows these rows token by token")
    return count_of(inspection.findings, "warning")


def _forgiven(finding: Finding) -> Finding:
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
            "fix the row, or use a template for such rows",
        )


def _beside(told: Sequence[Finding], found: Sequence[Finding]) -> list[Finding]:
    """What is new: a fault that the row itself showed is not told again of its tokens."""
    codes = {finding.code for finding in told}
    # Typed turns, tags and missing questions all move the loss; the cause is told, and its effects are not.
    causes = {"special_token_in_text", "unclosed_think", "content_not_text"}
    effects = {"prompt_mismatch", "loss_on_prompt", "end_of_turn_without_loss", "empty_think_without_loss"}
    if "no_loss" in codes or codes & causes:
        codes |= {*effects, "no_loss"}
    if "flag_contradicts" in codes:
        codes.add("prompt_mismatch")  # the prompt asks for the mode that the answer does not have
    return [finding for finding in found if finding.code not in codes]
