#!/usr/bin/env bash
# Evaluate on GPUS processes:  tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# On several machines, run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail
source "$(dirname "$0")/misc/launch.sh"
if [ $# -lt 3 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
launch test.py "$3" "$1" "$2" "${@:4}"
