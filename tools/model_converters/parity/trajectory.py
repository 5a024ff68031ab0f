"""Numerical comparison of a recipe's training run with a reference implementation's."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from torch import Tensor

from mim_plugins.checkpoints.conversion import convert
from mim_plugins.checkpoints.strict_loading import load_strictly
from mim_plugins.masking import MixedImages, TokenMask, mix
from mim_plugins.registry import MODELS

from .reference_pass import relative_error
from .trajectory_recipe import KINDS, Kind, read_recipe, read_settings

_EXACT = 2**-23  # distance of neighboring float32 numbers, relative to them
TOLERANCES = dict(
    lr=1e-6, loss=1e-5, lr_scale=_EXACT, weight_decay=_EXACT, final_norm=1e-4, change_norm=1e-4
)
"""Largest relative error allowed, by the first part of a quantity's name."""

_KEY_BIASES = "attn.qkv.bias"
_BY_PARAMETER = ("lr_scale", "weight_decay", "final_norm", "change_norm")
_ENTRIES = {"config", "images", "order", "lr", "loss", "param", *_BY_PARAMETER}


class TrajectoryComparison(NamedTuple):
    """Comparison of a recipe's training run with a reference."""

    recipe: str
    """Config of the run, relative to ``CONFIG_DIR``."""
    differences: list[str]
    """Hyperparameters for which the reference differs from the recipe; the run had its values."""
    errors: dict[str, float]
    """Relative error of each quantity; its tolerance is in :data:`TOLERANCES`."""
    ranges: set[str]
    """Norms of key biases. Their errors are distances from the range that rounding noise allows."""


def is_trajectory(reference: dict) -> bool:
    """Return whether a result of :func:`read_reference` contains a training run."""
    return "order" in reference or "lr_scale" in reference


def compare_with_trajectory(reference: dict) -> TrajectoryComparison:
    """Repeat a reference's training run with the shipped recipe of its method.

    Args:
        reference: result of :func:`read_reference` with ``config`` (method, sizes and
            hyperparameters), ``images`` (N, 3, H, W) in RGB, ``order`` (T, B), the masks or soft
            ``targets`` of each step, ``param`` at the start, ``lr`` (T,), ``loss`` (T,), and for
            each trained parameter ``lr_scale``, ``weight_decay``, ``final_norm``, ``change_norm``.

    Returns:
        Errors of ``lr/<step>``, ``loss/<step>`` and of the four quantities of each parameter. The
        error of a parameter that only one side trains is infinite. Key biases, whose gradients
        are rounding noise, may have any norm that their learning rates allow.

    Raises:
        ValueError: entries are missing, unknown or of another shape, or the weights do not fit.
    """
    settings = read_settings(json.loads(str(reference.get("config", "null"))))
    kind = KINDS[settings["method"]]
    classes = _check_entries(reference, settings, kind)
    side = reference["images"].shape[-1]
    cfg, differences = read_recipe(settings, side, classes)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        run = _Run(cfg, settings)
        _, weights = convert(reference["param"], run.model.state_dict())
        load_strictly(run.model, weights, "param/...")
    start = {name: tensor.detach().clone() for name, tensor in run.tensors().items()}
    compute_loss = (_pretraining_loss if kind.is_pretraining else _finetuning_loss)(run, reference)
    errors: dict[str, float] = {}
    for step, chosen in enumerate(reference["order"].long()):
        errors[f"lr/{step}"] = run.rate_error(reference["lr"][step])
        loss = compute_loss(run.normalize(reference["images"][chosen]), step)
        errors[f"loss/{step}"] = relative_error(loss, reference["loss"][step])
        run.update(loss)
    errors |= _parameter_errors(run, start, reference, kind)
    ranges = {
        name for name in errors if name.endswith(_KEY_BIASES) and "_norm" in name.partition("/")[0]
    }
    return TrajectoryComparison(kind.recipe, differences, errors, ranges)


class _Run:
    """Training run without MMEngine's runner, which would need files and a work folder."""

    def __init__(self, cfg: Any, settings: dict) -> None:
        self.cfg = cfg
        self.total_rate = 0.0
        self.model: Any = MODELS.build(cfg.model).train()
        self.wrapper: Any = build_optim_wrapper(self.model, cfg.optim_wrapper)
        defaults = dict(optimizer=self.wrapper, epoch_length=settings["iterations_per_epoch"])
        last = dict(end=settings["epochs"])
        self.schedulers = [
            PARAM_SCHEDULERS.build(last | each, default_args=defaults)
            for each in cfg.param_scheduler
        ]

    def normalize(self, images: Tensor) -> Tensor:
        """Normalize RGB images (B, 3, H, W) as the recipe does, which loads them as BGR."""
        inputs = list(images.flip(1))
        return self.model.data_preprocessor(dict(inputs=inputs), training=False)["inputs"]

    def rate_error(self, reference: Tensor) -> float:
        """Return the largest error of the learning rates, divided by each group's scale."""
        groups = self.wrapper.optimizer.param_groups
        rates = torch.tensor([g["lr"] / g["lr_scale"] for g in groups], dtype=torch.float64)
        return relative_error(rates, reference.expand(len(rates)))

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name."""
        return dict(self.model.named_parameters()) | dict(self.model.named_buffers())

    def update(self, loss: Tensor) -> None:
        """Take a step of the optimizer and of the schedule."""
        group = self.wrapper.optimizer.param_groups[0]
        self.total_rate += group["lr"] / group["lr_scale"]
        self.wrapper.update_params(loss)
        for scheduler in self.schedulers:
            scheduler.step()


def _pretraining_loss(run: _Run, reference: dict) -> Callable[[Tensor, int], Tensor]:
    model = run.model

    def of_mixed_images(images: Tensor, step: int) -> Tensor:
        stride = model.backbone.encoder_stride
        grid = (images.shape[2] // stride, images.shape[3] // stride)
        mask = reference[_mask_name(run.cfg)][step].reshape(-1, *grid) > 0.5
        # the authors mix each image with the one at its place in the reversed batch
        partner = torch.arange(len(images) - 1, -1, -1)
        batch = MixedImages(images, mix(images, mask, partner), mask, partner)
        return model.parse_losses(model.loss(batch))[0]

    def of_masked_images(images: Tensor, step: int) -> Tensor:
        keep, restore = (reference[name][step].long() for name in ("ids_keep", "ids_restore"))
        token_mask = TokenMask(keep, restore, restore >= keep.shape[1])
        model.sample_mask = lambda *_: token_mask
        return model.parse_losses(model.loss(images))[0]

    return of_masked_images if "ids_keep" in reference else of_mixed_images


def _finetuning_loss(run: _Run, reference: dict) -> Callable[[Tensor, int], Tensor]:
    from mmpretrain.structures import DataSample

    smoothing = run.cfg.model.head.loss.label_smooth_val
    # the recipe's loss smooths its targets, so the smoothing of the reference is undone
    targets = (reference["targets"] - smoothing / reference["targets"].shape[-1]) / (1 - smoothing)

    def compute(images: Tensor, step: int) -> Tensor:
        samples = [DataSample().set_gt_score(target) for target in targets[step]]
        return run.model.parse_losses(run.model.loss(images, samples))[0]

    return compute


def _mask_name(cfg: Any) -> str:
    return f"mask_s{len(cfg.model.backbone.arch.depths)}"


def _check_entries(reference: dict, settings: dict, kind: Kind) -> int | None:
    """Check names and shapes of a reference's arrays; return the number of classes."""
    shapes: dict[str, tuple[str | int, ...]]
    if not kind.is_pretraining:
        shapes = dict(targets=("T", "B", "K"))
    elif "depths" in settings["model"]:
        shapes = {f"mask_s{len(settings['model']['depths'])}": ("T", "M", "L", 1)}
    else:
        shapes = dict(ids_keep=("T", "B", "V"), ids_restore=("T", "B", "L"))
    missing = sorted((_ENTRIES | set(shapes)) - set(reference))
    unknown = sorted(set(reference) - _ENTRIES - set(shapes))
    if missing or unknown:
        raise ValueError(f"missing entries {missing}, unknown entries {unknown}")
    for quantity in _BY_PARAMETER:
        for name in set(reference[quantity]) - set(reference["param"]):
            raise ValueError(f"{quantity}/{name}: there is no param/{name}")
    shapes |= dict(images=("N", 3, "H", "W"), order=("T", "B"), lr=("T",), loss=("T",))
    sizes: dict[Any, int] = dict(T=settings["steps"])
    for name, shape in shapes.items():
        found = tuple(getattr(reference[name], "shape", ()))
        fits = len(found) == len(shape) and all(
            size == (sizes.setdefault(side, size) if isinstance(side, str) else side)
            for side, size in zip(shape, found, strict=True)
        )
        if not fits:
            raise ValueError(f"{name} has shape {found}; expected ({', '.join(map(str, shape))})")
    if sizes.get("K", 2) < 2:
        raise ValueError("targets contains one class; a classifier needs at least two")
    order = reference["order"].long()  # unsigned integers have neither min nor max
    if reference["order"].is_floating_point() or order.min() < 0 or order.max() >= sizes["N"]:
        raise ValueError(f"order must contain integers from 0 to {sizes['N'] - 1}")
    return sizes.get("K")


def _parameter_errors(
    run: _Run, start: dict[str, Tensor], reference: dict, kind: Kind
) -> dict[str, float]:
    """Return the errors of scale, weight decay and norms of all parameters, by their names."""
    groups = {id(p): g for g in run.wrapper.optimizer.param_groups for p in g["params"]}
    ends = run.tensors()
    trained = {name: groups[id(p)] for name, p in ends.items() if id(p) in groups}
    errors = {}
    for quantity in _BY_PARAMETER:
        theirs = {str(kind.layout.rename(name)): name for name in reference[quantity]}
        is_norm = quantity.endswith("_norm")  # a reference may contain those of fixed embeddings
        for name in dict.fromkeys([*theirs, *trained]):
            error = float("inf")
            if name in theirs and name in trained and not is_norm:
                ours = torch.as_tensor(trained[name][quantity])
                error = relative_error(ours, reference[quantity][theirs[name]])
            elif name in theirs and name in ends and is_norm:
                first = start[name] if quantity == "change_norm" else torch.zeros(())
                reach = run.total_rate * trained.get(name, {}).get("lr_scale", 0.0)
                norms = _possible_norms(name, ends[name] - first, reach)
                error = _distance(reference[quantity][theirs[name]], norms)
            errors[f"{quantity}/{theirs.get(name, name)}"] = error
    return errors


def _possible_norms(name: str, tensor: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Return the range of norms that rounding noise can give a tensor.

    Key biases add the same number to all attention scores of a query, so they have no influence.
    Their gradients are rounding noise, which AdamW scales to steps of up to the learning rate. All
    other tensors have one possible norm.

    Args:
        name: name of the parameter.
        tensor: the parameter, or its change.
        reach: sum of the parameter's learning rates.
    """
    if not name.endswith(_KEY_BIASES):
        return tensor.norm(), tensor.norm()
    query, key, value = tensor.detach().chunk(3)
    nearest, farthest = ((key.abs() - reach).clamp_min(0), key.abs() + reach)
    nearest, farthest = (torch.cat([query, each, value]).norm() for each in (nearest, farthest))
    return nearest, farthest


def _distance(reference: Tensor, bounds: tuple[Tensor, Tensor]) -> float:
    """Return the relative error of the number in ``bounds`` that is closest to the reference."""
    return relative_error(reference.to(bounds[0]).clamp(*bounds), reference)
