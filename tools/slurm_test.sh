#!/usr/bin/env bash
# Evaluate as a Slurm job:  tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# Environment variables: GPUS (8 in total), GPUS_PER_NODE (8), CPUS_PER_TASK (the job's, or 8),
# SRUN_ARGS, PORT.
set -euo pipefail
source "$(dirname "$0")/misc/launch.sh"
if [ $# -lt 4 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
launch_slurm "$1" "$2" python -u "$tools/test.py" "$3" "$4" --launcher slurm "${@:5}"
