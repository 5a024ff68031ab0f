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
mark=$work_dir/preempted
export MIM_PLUGINS_NO_RESTART=$work_dir/no_restart # written after a failure that would recur
counter=$work_dir/restarts_${SLURM_JOB_ID:-$$}     # outlives a requeued batch job
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
    rm -f "$mark" "$MIM_PLUGINS_NO_RESTART"
    code=0
    launch_slurm "$partition" "$job_name" bash -c "$task" task "$mark" \
        python -u "$tools/train.py" "$config" --work-dir "$work_dir" --launcher slurm \
        "$@" ${resume[@]+"${resume[@]}"} || code=$?
    if ((code)); then
        restarts=$(($(cat "$counter" 2>/dev/null || echo 0) + 1))
        # wrong arguments, Ctrl-C, and a signal from a person
        if ((restarts > ${MAX_RESTARTS:-0} || code == 2 || code == 130 || code == 143)) ||
            [ -e "$MIM_PLUGINS_NO_RESTART" ]; then
            rm -f "$counter"
            exit "$code"
        fi
        echo "$restarts" >"$counter"
        echo "restart $restarts of $MAX_RESTARTS: a task ended with exit code $code" >&2
    elif [ ! -e "$mark" ]; then
        rm -f "$counter"
        exit 0
    fi
    rm -f "$mark"
    # salloc sets the number of its job as well, but Slurm requeues only batch jobs
    if [ -n "${SLURM_JOB_ID:-}" ] && [[ $(scontrol show job "$SLURM_JOB_ID") != *BatchFlag=0* ]]; then
        exec scontrol requeue "$SLURM_JOB_ID" # the job restarts with SLURM_RESTART_COUNT set
    fi
    resume=(--resume)
done
