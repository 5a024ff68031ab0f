_base_ = ["mmdet::_base_/default_runtime.py", "reliability.py"]

custom_imports = dict(imports=["mim_plugins"], allow_failed_imports=False)
default_hooks = dict(
    checkpoint=dict(**_base_.atomic_checkpoint, interval=1, max_keep_ckpts=2, save_last=True),
    run_summary=dict(type="mim_plugins.RunSummaryHook"),
    throughput=dict(type="mim_plugins.ThroughputHook"),
    progress=dict(type="mim_plugins.ProgressHook"),
    **_base_.reliability_hooks,
)
visualizer = dict(
    vis_backends=[dict(type="LocalVisBackend"), dict(type="mim_plugins.TensorboardVisBackend")]
)
randomness = dict(seed=0, diff_rank_seed=True)
