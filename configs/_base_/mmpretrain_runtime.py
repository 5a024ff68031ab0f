# Runtime of mmpretrain's models with this package's hooks.
_base_ = "pretrain_runtime.py"

default_scope = "mmpretrain"
default_hooks = dict(visualization=dict(type="VisualizationHook", enable=False))
visualizer = dict(type="UniversalVisualizer")
