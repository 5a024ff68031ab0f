#!/usr/bin/env bash
# Set up .venv with everything, then lint, type-check and test. Arguments go to pytest.
# PYTHON chooses the interpreter that .venv is made with, JOBS the number of test processes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=work_dirs/run_tests/install.log
stamp=.venv/run_tests.stamp
source tools/environment.sh

has_mmcv_operators() {
    installed mmcv && ! installed mmcv-lite && "$python" -c "import mmcv._ext" 2>>"$log"
}

install() {
    start_installation
    if ! has_mmcv_operators; then
        step "removing mmcv-lite" "$python" -m pip uninstall -y mmcv-lite mmcv
        step "installing what mmcv's build needs" "$python" -m pip install ninja psutil
        step "compiling mmcv once, about 7 minutes on 2 cores" \
            env MMCV_WITH_OPS=1 "$python" -m pip install --no-build-isolation mmcv==2.1.0
    fi
    step "installing mim_plugins with all extras" \
        "$python" -m pip install --no-build-isolation -e '.[all]'
    step "checking the installation" \
        "$python" -c "import mmcv.ops, mmdet, mmpretrain, mmseg, open_clip, timm, mim_plugins"
    fingerprint >"$stamp"
}

is_complete && has_mmcv_operators || install
export OMP_NUM_THREADS=1
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
exec "$python" -m pytest -n "${JOBS:-2}" "$@"
