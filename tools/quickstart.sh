#!/usr/bin/env bash
# Pre-train a small MixMAE on handwritten digits, fine-tune it with few labels and compare it with
# random weights. Creates .venv first; PYTHON chooses its interpreter.
set -euo pipefail
if [[ ${1-} == --help ]]; then
    sed -n '2,3s/^# //p' "$0"
    exit
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=work_dirs/quickstart/install.log
stamp=.venv/quickstart.stamp
source tools/dev/environment.sh

install() {
    start_installation
    if ! installed mmcv mmcv-lite; then
        step "installing mmcv-lite" "$python" -m pip install mmcv-lite==2.1.0
    fi
    step "installing mim_plugins" \
        "$python" -m pip install --no-build-isolation -e '.[quickstart]'
    step "checking the installation" \
        "$python" -c "import matplotlib, mmcv, mmpretrain, sklearn, torchvision, mim_plugins"
    fingerprint >"$stamp"
}

is_complete && installed mmcv mmcv-lite || install
exec "$python" tools/dev/quickstart
