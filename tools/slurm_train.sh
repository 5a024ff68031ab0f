#!/usr/bin/env bash
# Train as a Slurm job:  tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]
# Environment variables: GPUS (8 in total), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, PORT.
# A run that saves and stops on Slurm's signal (exit code 85) is requeued and continues.
set -euo pipefail
source "$(dirname "$0")/misc/launch.sh"
if [ $# -lt 4 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
mark=$work_dir/preempted
mkdir -p "$work_dir"

# In each task, exit code 85 becomes a mark file and code 0, because srun would otherwise kill the
# unfinished tasks. The shell forwards signals to Python, because Slurm may signal only the shell.
task='trap : TERM USR1; mark=$1; shift; "$@" & child=$!; code=0
      trap "kill -TERM $child" TERM; trap "kill -USR1 $child" USR1
      wait "$child" || code=$?
      while kill -0 "$child" 2>/dev/null; do code=0; wait "$child" || code=$?; done
      if [ "$code" = 85 ] && touch "$mark"; then code=0; fi; exit "$code"'
trap : TERM USR1

resume=()
if ((${SLURM_RESTART_COUNT:-0} > 0)); then
    resume=(--resume)
fi
while true; do
    rm -f "$mark"
    launch_slurm "$partition" "$job_name" bash -c "$task" task "$mark" \
        python -u "$tools/train.py" "$config" --work-dir "$work_dir" --launcher slurm \
        "$@" ${resume[@]+"${resume[@]}"}
    if [ ! -e "$mark" ]; then
        exit 0
    fi
    rm -f "$mark"
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        exec scontrol requeue "$SLURM_JOB_ID" # a batch job: it restarts with SLURM_RESTART_COUNT set
    fi
    resume=(--resume)
done
