# Sourced by dist_train.sh, dist_test.sh, slurm_train.sh and slurm_test.sh.
tools=$(dirname "$(dirname "${BASH_SOURCE[0]}")")
# finds your modules next to the tools folder, as OpenMMLab's launchers do
PYTHONPATH=$(cd "$tools/.." && pwd)${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH

# require NAME VARIABLE LEAST [MOST]: exit if a shell variable is no whole number in a range. Its
# leading zeros are removed, which bash would read as an octal number. NAME is what the user knows.
require() {
    if ! [[ ${!2} =~ ^[0-9]{1,9}$ ]] || ((10#${!2} < $3 || 10#${!2} > ${4:-999999999})); then
        local range=${4:+from $3 to $4}
        echo "error: $1: '${!2}' is not a whole number ${range:-of at least $3}" >&2
        exit 2
    fi
    printf -v "$2" %d "$((10#${!2}))"
}

# launch SCRIPT PROCESSES ARGUMENTS...: run a tool with PROCESSES processes on this machine
launch() {
    local script=$1 processes=$2
    shift 2
    # the option --signals-to-handle of newer torchruns: also forward SIGUSR1 to the processes
    export PET_SIGNALS_TO_HANDLE=${PET_SIGNALS_TO_HANDLE:-SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1}
    local nodes=${NNODES:-1} restarts=${MAX_RESTARTS:-0} port=${PORT:-29500} meet
    local address=${MASTER_ADDR:-127.0.0.1} node=${NODE_RANK:-0}
    local least=${nodes%%:*} most=${nodes#*:}
    if [[ $processes == *[0-9]* ]]; then # not gpu or auto
        require GPUS processes 1
    fi
    require NNODES least 1
    require NNODES most "$least"
    require MAX_RESTARTS restarts 0
    require PORT port 1 65535
    if [[ $nodes == *:* ]]; then
        nodes=$least:$most
    else
        nodes=$least
    fi
    if [[ $nodes != *:* && $restarts == 0 ]]; then
        require NODE_RANK node 0 "$((nodes - 1))"
        meet=(--node_rank="$node" --master_addr="$address" --master_port="$port")
    elif [ "$nodes" = 1 ]; then
        # the id distinguishes a restart from a new run; port 0 is any free port
        meet=(--rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:0 --local_addr=127.0.0.1
            --rdzv_id="$(hostname)_$$_$(date +%s)")
    else
        # a job may start several runs, each as a step
        local id=${RDZV_ID:-${SLURM_STEP_ID:+${SLURM_JOB_ID}_$SLURM_STEP_ID}}
        if [ -z "$id" ]; then
            echo "error: set RDZV_ID to a new name for this run, the same on all machines" >&2
            exit 2
        fi
        meet=(--rdzv_backend=c10d --rdzv_endpoint="$address:$port" --rdzv_id="$id")
    fi
    exec python "$tools/misc/launch.py" --nnodes="$nodes" --nproc_per_node="$processes" \
        --max_restarts="$restarts" "${meet[@]}" "$tools/$script" "$@" --launcher pytorch
}

# launch_slurm PARTITION JOB_NAME COMMAND...: run a command in GPUS tasks of a Slurm job
launch_slurm() {
    local partition=$1 job_name=$2 tasks=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
    # the job's number, which srun ignores since Slurm 22.05, or one core per loader worker
    local cores=${CPUS_PER_TASK:-${SLURM_CPUS_PER_TASK:-8}} port=${PORT:-$((20000 + RANDOM % 20000))}
    shift 2
    require GPUS tasks 1
    require GPUS_PER_NODE per_node 1
    require CPUS_PER_TASK cores 1
    require PORT port 1 65535
    if ((per_node > tasks)); then
        per_node=$tasks
    fi
    # jobs on the same machine need different ports
    MASTER_PORT=$port \
        srun -p "$partition" \
        --job-name="$job_name" \
        --gres="gpu:$per_node" \
        --ntasks="$tasks" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="$cores" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "$@"
}
