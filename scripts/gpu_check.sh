#!/usr/bin/env bash
# Backend tests and benchmarks on a CUDA machine, with the torch and transformers that are there.
#
#   scripts/gpu_check.sh            everything, on the first GPU
#   scripts/gpu_check.sh --cpu      the same without one: to try the script itself
#   PYTHON=/path/to/python …        of the environment that has torch and transformers
#   PYTEST_ARGS="-k llama" …        passed on to pytest
#   TOKENS="512 2048" …             lengths for benchmarks/attention.py
#
# What tests need besides is installed into an environment of its own (.artifacts/gpu_check) that
# sees the packages of the given one; torch and transformers are neither installed nor changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
device=cuda
case "${1:-}" in
  "") ;;
  --cpu) device=cpu ;;
  *)
    echo "usage: scripts/gpu_check.sh [--cpu]" >&2
    exit 2
    ;;
esac

"$python" -c 'import torch, transformers' 2>/dev/null || {
  echo "$python has no torch or no transformers. Say which Python has: PYTHON=/path/to/python $0" >&2
  exit 1
}
if [ "$device" = cuda ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo "There is no CUDA device here (torch $("$python" -c 'import torch; print(torch.__version__)'))." >&2
  echo "To try the script without one: $0 --cpu" >&2
  exit 1
fi
if [ ! -f widgets/glasshead/static/attention_lines.js ]; then
  echo "The front end is not built. Run: npm ci && npm run build" >&2
  exit 1
fi

home=.artifacts/gpu_check
if [ ! -f "$home/.complete" ]; then
  "$python" -m venv --system-site-packages "$home"
  # If the Python is a virtual environment itself, the new one would see only what lies beneath it.
  "$python" -c 'import site; print("\n".join(site.getsitepackages()))' \
    >"$("$home/bin/python" -c 'import site; print(site.getsitepackages()[0])')/given.pth"
  "$home/bin/python" - <<'PY' | xargs -r "$home/bin/python" -m pip install --quiet
import importlib.metadata as metadata

names = (
    "anywidget ipywidgets traitlets numpy scipy pandas psutil regex scikit-learn tqdm "
    "accelerate hypothesis jaxtyping networkx packaging pytest sentencepiece statsmodels"
).split()
there = {one.metadata["Name"].lower().replace("_", "-") for one in metadata.distributions()}
print(*(name for name in names if name not in there), sep="\n")
PY
  touch "$home/.complete"
fi
run="$home/bin/python"
export PYTHONPATH="$PWD/widgets:$PWD/kernel_backend:$PWD/tests"

"$run" - "$device" <<'PY'
import sys

import torch
import transformers

card = torch.cuda.get_device_name() if sys.argv[1] == "cuda" else "the CPU (a trial run)"
print(f"torch {torch.__version__}, transformers {transformers.__version__}, on {card}")
PY

status=0
# shellcheck disable=SC2086 # several words
"$run" -m pytest tests/backend -q --tb=short -p no:cacheprovider ${PYTEST_ARGS:-} || status=$?
# shellcheck disable=SC2086 # several numbers
"$run" benchmarks/attention.py --device "$device" ${TOKENS:-512 2048 8192} || status=$?
if [ -f benchmarks/first_trace.py ]; then
  "$run" benchmarks/first_trace.py || status=$?
fi
"$run" benchmarks/layer_statistics.py || status=$?
exit "$status"
