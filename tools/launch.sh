# Sourced by dist_train.sh, dist_test.sh, slurm_train.sh and slurm_test.sh.
tools=$(dirname "${BASH_SOURCE[0]}")
# modules of yours beside the folder of tools are found, as with OpenMMLab's launchers
PYTHONPATH=$(cd "$tools/.." && pwd)${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH

# launch SCRIPT PROCESSES ARGUMENTS...: run one of our tools on PROCESSES processes of this machine
launch() {
    local script=$1 processes=$2
    shift 2
    # torchrun's option --signals-to-handle, by which it hands on SIGUSR1, too; older ones have none
    export PET_SIGNALS_TO_HANDLE=${PET_SIGNALS_TO_HANDLE:-SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1}
    exec python "$tools/launch.py" \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$processes" \
        "$tools/$script" "$@" --launcher pytorch
}

# launch_slurm PARTITION JOB_NAME COMMAND...: run a command as GPUS tasks of a Slurm job
launch_slurm() {
    local partition=$1 job_name=$2 tasks=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
    shift 2
    if ((per_node > tasks)); then
        per_node=$tasks
    fi
    # jobs that share a machine must not share a port
    MASTER_PORT=${PORT:-$((20000 + RANDOM % 20000))} \
        srun -p "$partition" \
        --job-name="$job_name" \
        --gres="gpu:$per_node" \
        --ntasks="$tasks" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "$@"
}
