#!/usr/bin/env bash
# The GPU check: correctness, speed, memory and the tiny recipe on one GPU, without a network or weights, in 9 minutes.
#   bash benchmarks/gpu/run.sh                      everything, into $OUT (or gpu-results/)
#   bash benchmarks/gpu/run.sh --parts sft,grpo     some parts
#   bash benchmarks/gpu/run.sh --rehearse           the same on a CPU with two small layers, in a minute
# A part that fails, or does not end in its time, is a line in results.jsonl like any other, and the next one starts.
# Exit status 1 if any line does not hold. PYTHON names the interpreter; packages that it lacks come from wheels/, which
# benchmarks/gpu/wheels.sh fills. docs/gpu.md says what each line means.
set -uo pipefail
cd "$(dirname "$0")/../.."
PYTHON="${PYTHON:-python3}"
folder="${OUT:-gpu-results}"
# name, most seconds, script and its arguments
PARTS=(
  "correctness 80 correctness.py"
  "attention 45 attention.py"
  "memory 60 memory.py"
  "sft 160 sft.py"
  "grpo 120 grpo.py"
  "recipe_gpu 240 recipe.py --config gpu"
  "recipe_zero2 240 recipe.py --config zero2"
  "recipe_zero3 240 recipe.py --config zero3"
  "recipe_fsdp2 240 recipe.py --config fsdp2"
)
rehearse=() chosen=""
while [ $# -gt 0 ]; do
  case "$1" in
    --rehearse) rehearse=(--rehearse) ;;
    --parts) chosen="${2:?--parts takes names with commas between them}"; shift ;;
    *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
if [ ${#rehearse[@]} -gt 0 ]; then slower=6; else slower=1; fi # a CPU, with other work beside
SECONDS_IN_ALL="${SECONDS_IN_ALL:-$((540 * slower))}"
names=" $(printf '%s\n' "${PARTS[@]}" | cut -d ' ' -f 1 | tr '\n' ' ')"
for name in ${chosen//,/ }; do
  case "$names" in *" $name "*) ;; *) echo "there is no part $name; parts are:$names" >&2; exit 2 ;; esac
done

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$folder"
out="$folder/results.jsonl" log="$folder/check.log"
rm -f "$out" "$folder/results.md" "$log"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TMPDIR="$scratch" HF_HOME="$scratch/huggingface"
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TRL_EXPERIMENTAL_SILENCE=1 TOKENIZERS_PARALLELISM=false
if [ ${#rehearse[@]} -gt 0 ]; then export CUDA_VISIBLE_DEVICES="" DS_ACCELERATOR=cpu; fi

note() { "$PYTHON" benchmarks/gpu/results.py "$@" --out "$out" "${rehearse[@]}"; }

if ls wheels/*.whl >/dev/null 2>&1 && ! "$PYTHON" -c "import trl" >/dev/null 2>&1; then
  if timeout 90 "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$scratch/site" \
    wheels/*.whl >"$scratch/wheels.log" 2>&1; then
    export PYTHONPATH="$scratch/site:$PYTHONPATH"
  else
    note failed wheels --status $? --limit 90 --log "$scratch/wheels.log"
  fi
  cat "$scratch/wheels.log" >>"$log"
fi

measure() { # name, most seconds, script and its arguments
  local name="$1" limit="$2" script="$3" started="$SECONDS" status
  shift 3
  timeout --kill-after=5 "$limit" "$PYTHON" "benchmarks/gpu/$script" "$@" --out "$out" "${rehearse[@]}" \
    >"$scratch/$name.log" 2>&1
  status=$?
  echo "$name: exit status $status after $((SECONDS - started)) s" | tee -a "$log"
  grep "^$name: " "$scratch/$name.log"
  cat "$scratch/$name.log" >>"$log"
  [ "$status" -eq 0 ] || note failed "$name" --status "$status" --limit "$limit" --log "$scratch/$name.log"
}

for part in "${PARTS[@]}"; do
  read -r name limit script arguments <<<"$part"
  limit=$((limit * slower))
  case ",${chosen:-$name}," in *",$name,"*) ;; *) continue ;; esac
  # The rehearsal has one launcher config, for which one run is enough.
  if [ ${#rehearse[@]} -gt 0 ] && [[ "$name" == recipe_* && "$name" != recipe_gpu ]]; then continue; fi
  left=$((SECONDS_IN_ALL - SECONDS))
  if [ "$left" -lt 2 ]; then
    note failed "$name" --reason "not started: the $SECONDS_IN_ALL seconds of the whole check are spent"
    continue
  fi
  [ "$limit" -le "$left" ] || limit="$left"
  read -ra words <<<"$arguments"
  # Recipes take their time to start, not to compute: they run side by side, after all that is timed.
  measure "$name" "$limit" "$script" "${words[@]}" &
  [[ "$name" == recipe_* ]] || wait "$!"
done
wait
echo
"$PYTHON" benchmarks/gpu/results.py table --out "$out"
