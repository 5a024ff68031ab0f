# Sourced by quickstart.sh and run_tests.sh, which share .venv. A script sets `log` (log file of the
# installation) and `stamp` (file that marks a complete installation).

# use_environment FOLDER: install into this environment
use_environment() {
    venv=$1
    python=$venv/bin/python
}
use_environment .venv

fail() {
    tail -n 15 "$log" >&2
    echo "error: $1; the complete log is '$log'" >&2
    exit 1
}

# step MESSAGE COMMAND...: run a command with its output in the log
step() {
    echo "$1"
    shift
    "$@" >>"$log" 2>&1 || fail "'$*' failed"
}

# installed DISTRIBUTION...: succeed if one of them is installed
installed() {
    "$python" - "$@" <<'PY'
import sys
from importlib.metadata import distributions
sys.exit(not {d.metadata["Name"] for d in distributions()} & set(sys.argv[1:]))
PY
}

# fingerprint: print a checksum of everything that the installation depends on
fingerprint() {
    cat setup.py pyproject.toml requirements/*.txt tools/dev/environment.sh "tools/$(basename "$0")" |
        cksum
}

is_complete() {
    [[ -f $stamp && $(<"$stamp") == "$(fingerprint)" ]]
}

# make_environment: start the log, and create the environment if it does not exist
make_environment() {
    mkdir -p "$(dirname "$log")"
    : >"$log"
    if ! "$python" -m pip --version >>"$log" 2>&1; then
        step "creating $venv" "${PYTHON:-python3}" -m venv --clear "$venv"
    fi
    rm -f "$stamp"
}

# start_installation: create .venv, and install the packages that both scripts need
start_installation() {
    make_environment
    step "installing PyTorch and the OpenMMLab packages, 2 to 10 minutes" \
        "$python" -m pip install -r requirements/base.txt
}
