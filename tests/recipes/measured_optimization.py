"""Optimizer, rates, schedule and encoder of a built recipe."""

import functools
import math

import numpy as np
from schedule_run import ScheduleRun
from torch import nn
from torchvision.ops import StochasticDepth

# shortened, because schedules of hundreds of epochs take many steps
EPOCH, COCO_EPOCH = 50, 1000
TOKENS = ("pos_embed", "mask_token", "cls_token")


def optimizer(recipe):
    """Class, learning rate, betas or momentum, weight decay."""
    settings = recipe.cfg.optim_wrapper.optimizer
    defaults = recipe.optimizer.defaults
    momentum = defaults.get("betas") or defaults["momentum"]
    return type(recipe.optimizer).__name__, settings.lr, momentum, settings.weight_decay


def clip_grad(recipe):
    return recipe.cfg.optim_wrapper.get("clip_grad")


def precision(recipe):
    return recipe.cfg.optim_wrapper.get("dtype", "float32")


def batch(recipe):
    """Images per step of the whole run, for which the learning rate is."""
    return recipe.cfg.auto_scale_lr.base_batch_size


def per_process(recipe):
    return recipe.cfg.train_dataloader.batch_size


def decayed(recipe):
    """Kinds of trainable parameters that decay; all parameters of a kind are treated alike."""
    kinds, modules = {}, dict(recipe.model.named_modules())
    for name, group in recipe.groups.items():
        kind = kind_of(name, modules[name.rpartition(".")[0]], recipe.model.get_parameter(name))
        kinds.setdefault(kind, set()).add(group["weight_decay"] > 0)
    assert all(len(values) == 1 for values in kinds.values()), kinds
    return {kind for kind, values in kinds.items() if values == {True}}


def kind_of(name, module, parameter):
    last = name.rpartition(".")[2]
    if last in TOKENS:
        return last
    if "table" in last:
        return "bias tables"
    if "Norm" in type(module).__name__:
        return "norms"
    return "weights" if parameter.ndim > 1 else "biases"


def rates(recipe):
    """Learning rate relative to the optimizer's: embeddings, each block, norms, heads."""
    base, found = recipe.cfg.optim_wrapper.optimizer.lr, {}
    for name, group in recipe.groups.items():
        found.setdefault(place_of(name, recipe.encoder), set()).add(round(group["lr"] / base, 9))
    assert all(len(values) == 1 for values in found.values()), found
    blocks = [found.pop(index).pop() for index in sorted(k for k in found if type(k) is int)]
    return {place: values.pop() for place, values in found.items()} | dict(blocks=blocks)


def place_of(name, encoder):
    """Return the place of a parameter in layer decay: a number for blocks, otherwise a word."""
    before, _, rest = name.partition("backbone.")
    if before or not rest:
        return "heads"
    parts = rest.split(".")
    if parts[0] == "blocks":
        return int(parts[1])
    if parts[0] == "stages":  # a downsampling layer has the rate of the block after it
        first = sum(encoder.depths[: int(parts[1])])
        return first + (int(parts[3]) if parts[2] == "blocks" else 0)
    return "norms" if "norm" in parts[0] else "embeddings"


def length(recipe):
    """Epochs or iterations."""
    return recipe.cfg.train_cfg.get("max_epochs") or recipe.cfg.train_cfg.max_iters


def schedule(recipe, points):
    """Factor of the learning rate at ``points``, in epochs or iterations."""
    cfg, is_coco = recipe.cfg, recipe.name.startswith("transfer/coco")
    return _sampled(
        str(cfg.param_scheduler),
        cfg.train_cfg.get("max_epochs"),
        cfg.train_cfg.get("max_iters"),
        tuple(points),
        COCO_EPOCH if is_coco else EPOCH,
    )


@functools.lru_cache
def _sampled(schedulers, epochs, iterations, points, epoch):
    run = ScheduleRun(eval(schedulers), epoch, epochs, iterations)  # the text of a config's list
    groups = run.optim_wrapper.param_groups
    start = [group["initial_lr"] for group in groups]
    each = epoch if epochs else 1
    wanted = {min(round(point * each), run.max_iters - 1): point for point in points}
    found = {}
    for iteration in range(run.max_iters):
        if iteration in wanted:
            factors = [group["lr"] / lr for group, lr in zip(groups, start, strict=True)]
            assert math.isclose(min(factors), max(factors), rel_tol=1e-6, abs_tol=1e-12)
            found[wanted[iteration]] = factors[0]
        for scheduler in run.param_schedulers:
            scheduler.step()
    return found


def warmup_iterations(recipe):
    return recipe.cfg.param_scheduler[0].end


def drop_path(recipe):
    """Rate of the last block, if it grows linearly from 0 over all blocks."""
    modules = sorted(recipe.encoder.named_modules(), key=lambda item: "stage" not in item[0])
    paths = [getattr(module, "drop_path", None) for _, module in modules]
    found = [path.p for path in paths if isinstance(path, StochasticDepth)]
    np.testing.assert_allclose(found, np.linspace(0, found[-1], len(found)))
    return found[-1]


def windows(recipe):
    """Window side of each stage of a Swin; window side and global blocks of other encoders."""
    encoder = recipe.encoder
    if not hasattr(encoder, "stages"):
        return encoder.window_size, encoder.global_blocks
    return [
        "global"
        if all(block.attends_globally for block in stage.blocks)
        else stage.blocks[0].attn.window
        for stage in encoder.stages
    ]


def sizes(recipe):
    """Image side, channels of the last stage, depths."""
    encoder = recipe.encoder
    return encoder.img_size[0], encoder.stage_channels[-1], encoder.depths


def positions(recipe):
    embedding = recipe.encoder.pos_embed
    learned = isinstance(embedding, nn.Parameter) and embedding.requires_grad
    return "learned" if learned else "fixed"


def cls_token(recipe):
    token = getattr(recipe.encoder, "cls_token", None)
    return token if token is None else "trained" if token.requires_grad else "fixed"


def relative_positions(recipe):
    names = [name for name, _ in recipe.encoder.named_parameters()]
    return any("rel_pos" in name or "relative_position" in name for name in names)


def fusion(recipe):
    """Return whether the convolution stages are added to the last tokens."""
    return recipe.encoder.fuse_stages
