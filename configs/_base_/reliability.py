# Hooks for kills, bad data and hanging processes: docs/reliability.md. A runtime lists this file in
# its _base_ and uses both entries; a schedule defines the training loop.
atomic_checkpoint = dict(type="mim_plugins.AtomicCheckpointHook")
reliability_hooks = dict(
    loss_guard=dict(type="mim_plugins.LossGuardHook"),
    preemption=dict(type="mim_plugins.PreemptionHook"),
    stall_watchdog=dict(type="mim_plugins.StallWatchdogHook"),
)
