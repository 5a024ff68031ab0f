# MMSegmentation's runtime with this package's hooks. Checkpoints are counted in iterations.
# A path, because onedl-mmengine does not find mmseg::
_base_ = [
    f"{__import__('mmseg').__path__[0]}/.mim/configs/_base_/default_runtime.py",
    "reliability.py",
]

custom_imports = dict(imports=["mim_plugins"], allow_failed_imports=False)
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    checkpoint=dict(
        **_base_.atomic_checkpoint,
        by_epoch=False,
        interval=16_000,
        max_keep_ckpts=2,
        save_last=True,
    ),
    visualization=dict(type="SegVisualizationHook"),
    run_summary=dict(type="mim_plugins.RunSummaryHook"),
    throughput=dict(type="mim_plugins.ThroughputHook"),
    progress=dict(type="mim_plugins.ProgressHook"),
    **_base_.reliability_hooks,
)
visualizer = dict(
    vis_backends=[dict(type="LocalVisBackend"), dict(type="mim_plugins.TensorboardVisBackend")]
)
randomness = dict(seed=0, diff_rank_seed=True)
