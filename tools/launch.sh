# Sourced by dist_train.sh and dist_test.sh.

# launch SCRIPT PROCESSES ARGUMENTS...: run one of our tools on PROCESSES processes of this machine
launch() {
    local script=$1 processes=$2
    shift 2
    exec python -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$processes" \
        "$(dirname "$0")/$script" "$@" --launcher pytorch
}
