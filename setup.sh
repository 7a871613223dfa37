#!/bin/sh
# Makes .venv and installs everything with uv. Asks for the CPU build of torch first where there is no GPU, from wheels
# that pip is already pointed at (PIP_FIND_LINKS) or from PyTorch's own CPU index, and takes the ordinary build if
# neither has it. `make setup` calls this; PYTHON and EXTRAS come from there.
set -eu
torch=2.13.0
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
if [ -e /dev/nvidiactl ]; then kind=gpu; else kind=cpu; fi

install() { # $1: the torch to ask for; the rest: more options
  wanted="$1"; shift
  .venv/bin/uv pip install --quiet --python .venv/bin/python --constraints constraints.txt --overrides overrides.txt \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} "$@" "$wanted" --editable ".[$kind,dev${EXTRAS:+,$EXTRAS}]"
}

echo "setting up for $kind ..."
if [ "$kind" = gpu ]; then
  install "torch==$torch"
elif install "torch==$torch+cpu" 2>/dev/null; then :
elif install "torch==$torch+cpu" --extra-index-url "https://download.pytorch.org/whl/cpu" --index-strategy unsafe-best-match 2>/dev/null; then :
else
  echo "no CPU build of torch is within reach; installing the ordinary one"
  install "torch==$torch"
fi
# Each stage is a process of its own: compile once what all of them import, even where writing bytecode is switched off.
env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -W ignore -c "
import accelerate.commands.launch, peft, reasoning_gym
from trl import DPOTrainer, GRPOTrainer, SFTTrainer
from vllm import LLM
" >/dev/null 2>&1 || true
.venv/bin/alignment doctor || true
