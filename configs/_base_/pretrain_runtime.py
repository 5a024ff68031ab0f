# Runtime of the methods of this package. A name without scope is looked up in mim_plugins, then in
# MMEngine and mmpretrain, so pre-training does not import the models of mmpretrain.
_base_ = "reliability.py"

default_scope = "mim_plugins"
custom_imports = dict(imports=["mim_plugins"], allow_failed_imports=False)
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    # iterations as steps of all curves, also of evaluations
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(**_base_.atomic_checkpoint, interval=10, max_keep_ckpts=2, save_last=True),
    timed_checkpoint=dict(type="mim_plugins.TimedCheckpointHook", minutes=15),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    run_summary=dict(type="mim_plugins.RunSummaryHook"),
    throughput=dict(type="mim_plugins.ThroughputHook"),
    progress=dict(type="mim_plugins.ProgressHook"),
    status=dict(type="mim_plugins.StatusHook"),
    corrupt_images=dict(type="mim_plugins.CorruptImageHook"),
    **_base_.reliability_hooks,
)
custom_hooks = []  # configs add theirs by [*_base_.custom_hooks, dict(...)]
env_cfg = dict(
    cudnn_benchmark=True,  # all images have one size
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
visualizer = dict(
    type="Visualizer",
    vis_backends=[dict(type="LocalVisBackend"), dict(type="mim_plugins.TensorboardVisBackend")],
)
log_level = "INFO"
load_from = None
resume = False
randomness = dict(seed=0, diff_rank_seed=True)
