"""Linear classifier on the features of a frozen backbone."""

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .labeled_features import LabeledFeatures

_STEPS = 500
_BATCH = 1024
_LR = 3e-3
_WEIGHT_DECAY = 1e-2
_SMALLEST_STD = 1e-6
_TOP = 5


def linear_probe_accuracy(
    references: LabeledFeatures, queries: LabeledFeatures
) -> tuple[float, float]:
    """Train a classifier on the references; return its top-1 and top-5 accuracy in percent.

    Features are standardized, as in MAE's linear probe (arXiv 2111.06377, appendix A.1). Optimizer
    and length are our choice: 500 steps of AdamW on up to 1024 features, with a cosine. Weights
    start at zero and the order of the features is always the same, so equal features give equal
    results, and global random generators are not used.

    Args:
        references: features to train on, on any device.
        queries: features to classify, on the same device.
    """
    (features, labels), (tests, answers) = references, queries
    features, tests = features.float(), tests.float()
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=_SMALLEST_STD)
    classes = int(max(labels.max(), answers.max())) + 1
    weight, bias = _train((features - mean) / std, labels, classes)
    hits = torch.zeros(2, dtype=torch.long)
    for some, right in zip(tests.split(_BATCH), answers.split(_BATCH), strict=True):
        scores = F.linear((some - mean) / std, weight, bias)
        found = scores.topk(min(_TOP, classes)).indices == right[:, None]
        hits += torch.stack([found[:, 0].sum(), found.sum()]).cpu()
    top1, top5 = (100.0 * count / len(answers) for count in hits.tolist())
    return top1, top5


def _train(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return weight (classes, D) and bias of the classifier."""
    weight = features.new_zeros(classes, features.shape[1]).requires_grad_()
    bias = features.new_zeros(classes).requires_grad_()
    optimizer = torch.optim.AdamW([weight, bias], lr=_LR, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    for chosen in itertools.islice(_batches(len(features)), _STEPS):
        chosen = chosen.to(features.device)
        loss = F.cross_entropy(F.linear(features[chosen], weight, bias), labels[chosen])
        weight.grad, bias.grad = torch.autograd.grad(loss, (weight, bias))
        optimizer.step()
        schedule.step()
    return weight.detach(), bias.detach()


def _batches(total: int) -> Iterator[Tensor]:
    """Yield the indices of batches without end, in an order that is always the same."""
    generator = torch.Generator().manual_seed(0)
    while True:
        yield from torch.randperm(total, generator=generator).split(_BATCH)
