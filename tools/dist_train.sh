#!/usr/bin/env bash
# Train on GPUS processes per machine:  tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# On several machines, run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# MAX_RESTARTS=N restarts a failed run from its newest checkpoint. NNODES=MIN:MAX uses any number of
# machines in this range; set RDZV_ID to a new name for each run, the same on all machines.
# Without GPUs, the processes run on the CPU.
set -euo pipefail
source "$(dirname "$0")/misc/launch.sh"
if [ $# -lt 2 ]; then
    sed -n '2,6s/^# //p' "$0" >&2
    exit 2
fi
launch train.py "$2" "$1" "${@:3}"
