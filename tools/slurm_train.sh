#!/usr/bin/env bash
# Train as a Slurm job:  tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]
# Environment variables: GPUS (8 in total), GPUS_PER_NODE (8), CPUS_PER_TASK (the job's, or 8),
# SRUN_ARGS, PORT, MAX_RESTARTS (0). A run that saves and stops on Slurm's signal (exit code 85) is
# requeued and continues. So does one that failed, up to MAX_RESTARTS times, unless it reports a
# user's error.
set -euo pipefail
source "$(dirname "$0")/misc/launch.sh"
if [ $# -lt 4 ]; then
    sed -n '2,6s/^# //p' "$0" >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
allowed=${MAX_RESTARTS:-0}
require MAX_RESTARTS allowed 0
mkdir -p "$work_dir"

# salloc sets the number of its job as well, but Slurm requeues only batch jobs; of a heterogeneous
# one, only the first component has the flag
requeued=${SLURM_JOB_ID:-}
if [ -n "$requeued" ]; then
    job=$(scontrol show job "$requeued" || true)
    if [[ $job == *BatchFlag=0* && $job != *BatchFlag=[1-9]* ]]; then
        requeued=
    fi
fi
# the id distinguishes a restart, also by a requeue, from a new run
MIM_PLUGINS_LAUNCH=${requeued:-$(hostname)_$$_$(date +%s)}
export MIM_PLUGINS_LAUNCH
if ((${SLURM_RESTART_COUNT:-0} == 0)); then
    rm -f "$work_dir/restarts.json" # of an earlier run in the same batch job
fi
export MIM_PLUGINS_NO_RESTART=$work_dir/no_restart # written after a failure that would recur
mark=$work_dir/preempted
counter=$work_dir/restarts_$MIM_PLUGINS_LAUNCH

# In each task, exit code 85 becomes a mark file and code 0, because srun would otherwise kill the
# unfinished tasks. So does the end by a signal of Slurm before the run can save. The shell forwards
# signals to Python, because Slurm may signal only the shell; a person signals only Python.
task='trap : TERM USR1; mark=$1 signaled=; shift; "$@" & child=$!; code=0
      trap "signaled=y; kill -TERM $child" TERM; trap "signaled=y; kill -USR1 $child" USR1
      wait "$child" || code=$?
      while kill -0 "$child" 2>/dev/null; do code=0; wait "$child" || code=$?; done
      case $code$signaled in 85*|138y|143y) touch "$mark" && code=0 ;; esac; exit "$code"'
trap : TERM USR1

while true; do
    rm -f "$mark" "$MIM_PLUGINS_NO_RESTART"
    code=0
    launch_slurm "$partition" "$job_name" bash -c "$task" task "$mark" \
        python -u "$tools/train.py" "$config" --work-dir "$work_dir" --launcher slurm "$@" || code=$?
    if ((code)); then
        restarts=$(($(cat "$counter" 2>/dev/null || echo 0) + 1))
        # wrong arguments, Ctrl-C, and a signal from a person
        if ((restarts > allowed || code == 2 || code == 130 || code == 143)) ||
            [ -e "$MIM_PLUGINS_NO_RESTART" ]; then
            rm -f "$counter"
            exit "$code"
        fi
        echo "$restarts" >"$counter"
        echo "restart $restarts of $allowed: a task ended with exit code $code" >&2
    elif [ ! -e "$mark" ]; then
        rm -f "$counter"
        exit 0
    fi
    rm -f "$mark"
    if [ -n "$requeued" ]; then
        exec scontrol requeue "$requeued"
    fi
done
