#!/usr/bin/env bash
# Set up an environment with all extras, then lint, type-check and test. Arguments go to pytest.
#   --stack official  the pinned versions, in .venv (default)
#   --stack onedl     the forks onedl-*, in .venv-onedl; tests only
#   --stack oldest    the lowest versions that setup.py accepts, in .venv-oldest; tests only
#   --stack newest    the newest releases, mmcv-lite and transformers 5, in .venv-newest; tests only,
#                     without detection and segmentation
# PYTHON chooses the interpreter of a new environment, JOBS the number of test processes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stack=official
arguments=()
while (($#)); do
    case $1 in
        --stack)
            stack=${2-}
            shift
            ;;
        --stack=*) stack=${1#*=} ;;
        --help)
            sed -n '2,8s/^# //p' tools/run_tests.sh
            exit
            ;;
        *) arguments+=("$1") ;;
    esac
    (($# == 0)) || shift
done

mmcv=mmcv==2.1.0
mmcv_options=()
suffix=-$stack
case $stack in
    official) suffix= ;;
    onedl) mmcv=onedl-mmcv==2.3.6 ;;
    # pip's cache ignores for which torch a wheel of mmcv was compiled
    oldest) mmcv_options=(--no-cache-dir) ;;
    # no release of mmcv compiles with torch 2.14 or newer, so this uses mmcv-lite
    newest) mmcv= ;;
    *)
        echo "error: --stack is '$stack'; allowed are official, onedl, oldest and newest" >&2
        exit 2
        ;;
esac

log=work_dirs/run_tests/install$suffix.log
stamp=.venv$suffix/run_tests.stamp
source tools/dev/environment.sh
use_environment ".venv$suffix"

has_mmcv() {
    if [[ -z $mmcv ]]; then
        installed mmcv-lite
        return
    fi
    installed "${mmcv%%=*}" && ! installed mmcv-lite &&
        "$python" -c "import mmcv._ext" 2>>"$log"
}

compile_mmcv() {
    step "removing mmcv-lite" "$python" -m pip uninstall -y mmcv-lite "${mmcv%%=*}"
    step "installing the build requirements of mmcv" "$python" -m pip install ninja psutil
    step "compiling mmcv once, about 7 minutes on 2 cores" \
        env MMCV_WITH_OPS=1 "$python" -m pip install --no-build-isolation \
        "${mmcv_options[@]}" "$mmcv"
}

install_packages() {
    start_installation
    has_mmcv || compile_mmcv
    step "installing mim_plugins with all extras" \
        "$python" -m pip install --no-build-isolation -e '.[all]'
}

# pip would resolve mim_plugins to other names or versions than those of the stack
install_other_packages() {
    make_environment
    local needs=work_dirs/run_tests/$stack.txt
    # only setuptools 77 or newer reads the metadata of the forks
    step "installing build tools" "$python" -m pip install 'setuptools>=77,<80' wheel packaging
    step "installing mim_plugins alone" \
        "$python" -m pip install --no-deps --no-build-isolation -e .
    "$python" tools/dev/stack_requirements.py "$stack" >"$needs" || fail "$needs could not be written"
    step "installing PyTorch, the OpenMMLab packages and all extras, 2 to 10 minutes" \
        "$python" -m pip install --no-build-isolation -r "$needs"
    has_mmcv || compile_mmcv
}

install() {
    if [[ $stack == official ]]; then install_packages; else install_other_packages; fi
    step "checking the installation" \
        "$python" -c "import mmcv${mmcv:+.ops, mmdet, mmseg}, mmpretrain, open_clip, timm, mim_plugins"
    fingerprint >"$stamp"
}

is_complete && has_mmcv || install
export OMP_NUM_THREADS=1
if [[ $stack == official ]]; then
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$python" -m mypy
fi
exec "$python" -m pytest -n "${JOBS:-2}" "${arguments[@]}"
