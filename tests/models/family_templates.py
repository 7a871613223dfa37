"""The chat templates of the families as their authors write them: the format is theirs, the text is short.

Where TRL ships a family's original template, that one is read. Neighbour: families.py.
"""

from importlib.resources import files

_OF_TRL = files("trl") / "chat_templates"
_MISTRAL = """{{- bos_token }}{%- for m in messages %}
{%- if m['role'] == 'user' %}{{- '[INST] ' + m['content'] + '[/INST]' }}
{%- elif m['role'] == 'assistant' %}{{- ' ' + m['content'] | trim + eos_token }}
{%- else %}{{- raise_exception('Only user and assistant roles are supported!') }}{%- endif %}{%- endfor %}"""
_SMOLLM3 = """{%- for m in messages %}{{- '<|im_start|>' + m['role'] + '\n' }}
{%- if m['role'] == 'assistant' %}{% generation %}
{{- ('<think>\n' + m['reasoning_content'] + '\n</think>\n' if m['reasoning_content'] else '<think>\n\n</think>\n') + m['content'] + '<|im_end|>' }}
{%- endgeneration %}{{- '\n' }}{%- else %}{{- m['content'] + '<|im_end|>\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"""
_GRANITE = """{%- for m in messages %}
{{- '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] + '<|end_of_text|>\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}"""
_PHI4_MINI = """{%- for m in messages %}{{- '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- else %}{{- eos_token }}{%- endif %}"""
_OLMO2 = """{{- bos_token }}{%- for m in messages %}
{%- if m['role'] == 'assistant' %}{{- '<|assistant|>\n' + m['content'] + eos_token + ('' if loop.last else '\n') }}
{%- else %}{{- '<|' + m['role'] + '|>\n' + m['content'] + '\n' }}{%- endif %}
{%- if loop.last and add_generation_prompt %}{{- '<|assistant|>\n' }}{%- endif %}{%- endfor %}"""


def _original(name: str) -> str:
    return (_OF_TRL / f"{name}.jinja").read_text(encoding="utf-8")


FAMILY_TEMPLATES = {
    "llama3": _original("llama3"),
    "qwen2_5": _original("qwen2_5"),
    "qwen3": _original("qwen3"),
    "gemma3": _original("gemma3"),
    "mistral": _MISTRAL,
    "smollm3": _SMOLLM3,
    "granite": _GRANITE,
    "phi4_mini": _PHI4_MINI,
    "olmo2": _OLMO2,
    "gpt_oss": _original("gptoss"),
    "lfm2": _original("lfm2"),
}
