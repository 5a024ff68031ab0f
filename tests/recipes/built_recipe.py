"""Recipe with built model, parameter groups and pipelines, as in its run."""

import inspect

import measured_data
import measured_heads
import measured_optimization
import torch
from config_files import CONFIGS as ROOT
from config_files import load_config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope
from torch import nn

import mim_plugins  # noqa: F401
from mim_plugins.registry import MODELS

CONFIGS = sorted(
    file.relative_to(ROOT).as_posix()
    for file in ROOT.rglob("*.py")
    if "_base_" not in file.parts
)  # fmt: skip
SCOPES = {"transfer/coco": "mmdet", "transfer/ade20k": "mmseg"}
MEASURED = (measured_data, measured_heads, measured_optimization)
# these look at the points or attributes that the table names
NAMED_BY_TABLE = ("schedule", "train", "test")


def scope_of(name):
    return next((scope for start, scope in SCOPES.items() if name.startswith(start)), "mmpretrain")


class FakeTarget(nn.Module):
    """Substitute for a teacher, whose weights are not available."""

    out_channels = 8
    has_cls_attention = True


def build_without_memory(cfg):
    """Return the model on the meta device. Arguments of teachers are checked, but not used."""
    model_cfg = cfg.model
    if "data_preprocessor" in cfg:
        model_cfg.setdefault("data_preprocessor", cfg.data_preprocessor)
    for mimic in model_cfg.get("mimics", {}).values():
        arguments = dict(mimic.target_generator)
        inspect.signature(MODELS.get(arguments.pop("type"))).bind(**arguments)
        mimic.target_generator = dict(type=FakeTarget)
    # mmpretrain's Swin reads its drop path rates from a tensor, which needs one with numbers
    with torch.device("cpu" if model_cfg.type == "SimMIM" else "meta"):
        return MODELS.build(model_cfg)


class BuiltRecipe:
    """Built recipe whose quantities :meth:`measure` returns.

    Args:
        name: of the config, below ``configs``.
        cfg: settings, if they are not those of the file.
    """

    def __init__(self, name, cfg=None):
        self.name = name
        self.cfg = cfg or load_config(name)
        self.settings = self.cfg.model.to_dict()  # builders change their configs
        with DefaultScope.overwrite_default_scope(scope_of(name)):
            self.teachers = {
                key: mimic.target_generator.model_name
                for key, mimic in self.cfg.model.get("mimics", {}).items()
            }
            self.preprocessor = self._preprocessor()  # with numbers, unlike the model's
            self.model = build_without_memory(self.cfg)
            wrapper = dict(self.cfg.optim_wrapper, type="OptimWrapper")
            for key in ("dtype", "loss_scale"):  # mixed precision refuses to be built without a GPU
                wrapper.pop(key, None)
            self.optimizer = build_optim_wrapper(self.model, wrapper).optimizer
            self.train = self._transforms("train_dataloader")
            self.test = self._transforms("test_dataloader")
        backbone = getattr(self.model, "backbone", None)
        self.encoder = getattr(backbone, "encoder", backbone)
        names = {id(parameter): key for key, parameter in self.model.named_parameters()}
        self.groups = {
            names[id(parameter)]: group
            for group in self.optimizer.param_groups
            for parameter in group["params"]
        }

    def measure(self, quantity, expected):
        """Measure a quantity; ``expected`` contains the points and attributes to measure."""
        find = next(getattr(each, quantity) for each in MEASURED if hasattr(each, quantity))
        return find(self, expected) if quantity in NAMED_BY_TABLE else find(self)

    def _preprocessor(self):
        cfg = dict(self.cfg.get("data_preprocessor") or self.cfg.model.data_preprocessor)
        cfg.setdefault("type", "ClsDataPreprocessor")
        return MODELS.build(cfg)

    def _transforms(self, loader):
        if not self.cfg.get(loader):
            return []
        dataset = self.cfg[loader].dataset
        while "dataset" in dataset:  # wrappers such as RepeatDataset
            dataset = dataset.dataset
        with DATASETS.switch_scope_and_registry(None) as registry:
            assert registry.get(dataset.type) is not None
        return [TRANSFORMS.build(transform) for transform in dataset.pipeline]
