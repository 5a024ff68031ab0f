# Sourced by quickstart.sh and run_tests.sh: one .venv for both, made step by step. A script sets
# `log` (the installation's log file) and `stamp` (the mark of a complete installation).

# use_environment FOLDER: install into this one
use_environment() {
    venv=$1
    python=$venv/bin/python
}
use_environment .venv

fail() {
    tail -n 15 "$log" >&2
    echo "error: $1; the whole log is '$log'" >&2
    exit 1
}

# step MESSAGE COMMAND...: run a command with its output in the log
step() {
    echo "$1"
    shift
    "$@" >>"$log" 2>&1 || fail "'$*' failed"
}

# installed DISTRIBUTION...: is one of them in the environment?
installed() {
    "$python" - "$@" <<'PY'
import sys
from importlib.metadata import distributions
sys.exit(not {d.metadata["Name"] for d in distributions()} & set(sys.argv[1:]))
PY
}

# what an installation depends on, as a checksum
fingerprint() {
    cat setup.py pyproject.toml requirements/*.txt tools/environment.sh "tools/$(basename "$0")" |
        cksum
}

is_complete() {
    [[ -f $stamp && $(<"$stamp") == "$(fingerprint)" ]]
}

# make_environment: begin the log, make the environment if there is none
make_environment() {
    mkdir -p "$(dirname "$log")"
    : >"$log"
    if ! "$python" -m pip --version >>"$log" 2>&1; then
        step "making $venv" "${PYTHON:-python3}" -m venv --clear "$venv"
    fi
    rm -f "$stamp"
}

# start_installation: make .venv, install what both scripts need
start_installation() {
    make_environment
    step "installing PyTorch and the OpenMMLab packages, 2 to 10 minutes" \
        "$python" -m pip install -r requirements/base.txt
}
