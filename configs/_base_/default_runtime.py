_base_ = ["mmpretrain::_base_/default_runtime.py", "reliability.py"]

custom_imports = dict(imports=["mim_plugins"], allow_failed_imports=False)
custom_hooks = [
    dict(type="mim_plugins.RunSummaryHook"),
    dict(type="mim_plugins.ThroughputHook"),
    dict(type="mim_plugins.DataFaultHook"),
    *_base_.reliability_hooks,
]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(**_base_.atomic_checkpoint, interval=10, max_keep_ckpts=2, save_last=True),
)
randomness = dict(seed=0, diff_rank_seed=True)
