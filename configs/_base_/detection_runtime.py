_base_ = "mmdet::_base_/default_runtime.py"

custom_imports = dict(imports=["mim_plugins"], allow_failed_imports=False)
custom_hooks = [dict(type="mim_plugins.RunSummaryHook")]
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=2, save_last=True))
randomness = dict(seed=0, diff_rank_seed=True)
