"""What a student or the teacher has learnt: linear probe, and fine-tuning with few labels."""

import argparse
import json
from pathlib import Path

import teacher  # noqa: F401  registers the timm model
import torch
import torch.nn.functional as F
from cifar_arrays import CLASSES, TEST_IMAGES, augment, load
from mmengine.config import Config
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from mim_plugins.registry import MODELS

PROBE_IMAGES = 5_000
LABELS_PER_CLASS = 50
FINETUNE_EPOCHS, FINETUNE_BATCH, FINETUNE_LR, FINETUNE_DECAY = 20, 50, 1e-3, 0.05


def student(config: Path, checkpoint: Path | None, pooled: bool, seed: int) -> nn.Module:
    """The encoder of a pre-trained student; with random weights where ``checkpoint`` is None."""
    torch.manual_seed(seed)
    settings = Config.fromfile(config).model.backbone
    settings.out_type = "avg_featmap" if pooled else "featmap"
    if checkpoint is not None:
        settings.init_cfg = dict(type="Pretrained", checkpoint=str(checkpoint), prefix="backbone.")
    backbone = MODELS.build(settings)
    if checkpoint is not None:
        backbone.init_weights()
    return backbone


def normalised(config: Path, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) of 0 to 255 as the student read them in pre-training."""
    values = Config.fromfile(config).model.data_preprocessor
    mean, std = torch.tensor([values.mean, values.std]).view(2, 1, 3, 1, 1)
    return (images.float() - mean) / std


@torch.no_grad()
def student_features(backbone: nn.Module, images: Tensor, config: Path) -> Tensor:
    """Mean of the normed tokens of each image (N, D)."""
    backbone.eval()
    maps = [backbone(normalised(config, part))[0] for part in images.split(500)]
    return torch.cat([part.mean(dim=(2, 3)) for part in maps])


@torch.no_grad()
def teacher_features(weights: Path, images: Tensor) -> Tensor:
    """Mean of the teacher's tokens of each image (N, D), read as the students read them."""
    target = MODELS.build(dict(type="TimmTarget", model_name="cifar_vit", pretrained=str(weights)))
    parts = images.split(500)
    return torch.cat([target(part / 255, (8, 8)).features.mean(dim=1) for part in parts])


def linear_probe(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> float:
    """Test accuracy, in percent, of logistic regression on frozen features."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    classifier.fit(train[0].numpy(), train[1].numpy())
    return 100 * float(classifier.score(test[0].numpy(), test[1].numpy()))


def few_labels(labels: Tensor, seed: int) -> Tensor:
    """Indices of equally many images of each class, others for another seed."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == label][:LABELS_PER_CLASS] for label in range(CLASSES)])


def finetune(backbone: nn.Module, config: Path, arrays: Path, seed: int, epochs: int) -> float:
    """Test accuracy, in percent, after training the whole network with few labels."""
    pool = Config.fromfile(config).train_dataloader.dataset.images
    images, labels = load(arrays, "train", pool)
    few = few_labels(labels, seed)
    torch.manual_seed(seed)
    model = nn.Sequential(backbone, First(), nn.Linear(backbone.embed_dims, CLASSES)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=FINETUNE_LR, weight_decay=FINETUNE_DECAY)
    steps = -(-len(few) // FINETUNE_BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, FINETUNE_LR, total_steps=steps)
    for _ in range(epochs):
        for chosen in few[torch.randperm(len(few))].split(FINETUNE_BATCH):
            outputs = model(normalised(config, augment(images[chosen])))
            loss = F.cross_entropy(outputs, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return _accuracy(model.eval(), config, *load(arrays, "test", TEST_IMAGES))


class First(nn.Module):
    """The only feature of a backbone that returns a tuple."""

    def forward(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """``outputs[0]``."""
        return outputs[0]


@torch.no_grad()
def _accuracy(model: nn.Module, config: Path, images: Tensor, labels: Tensor) -> float:
    found = [model(normalised(config, part)).argmax(dim=1) for part in images.split(500)]
    return 100 * (torch.cat(found) == labels).float().mean().item()


def probe_students(args: argparse.Namespace) -> dict[str, float]:
    """Linear probe of every checkpoint given, by its epoch; epoch 0 has random weights."""
    train = load(args.arrays, "train", args.probe_images)
    test = load(args.arrays, "test", TEST_IMAGES)
    probes = {}
    for checkpoint in args.checkpoints or [None]:
        backbone = student(args.config, checkpoint, pooled=False, seed=args.seed)
        epoch = "0" if checkpoint is None else checkpoint.stem.removeprefix("epoch_")
        seen = [(student_features(backbone, images, args.config), y) for images, y in (train, test)]
        probes[epoch] = linear_probe(*seen)
        print(f"epoch {epoch}: linear probe {probes[epoch]:.1f} %", flush=True)
    return probes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays", type=Path, help="folder of the decoded data")
    parser.add_argument("result", type=Path, help="JSON file to write")
    parser.add_argument("--config", type=Path, required=True, help="config of the student")
    parser.add_argument("--checkpoints", type=Path, nargs="*", help="by epoch; none: random")
    parser.add_argument("--teacher", type=Path, help="probe this teacher in place of a student")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probe-images", type=int, default=PROBE_IMAGES)
    parser.add_argument("--finetune-epochs", type=int, default=FINETUNE_EPOCHS)
    args = parser.parse_args()
    if args.teacher:
        train = load(args.arrays, "train", args.probe_images)
        test = load(args.arrays, "test", TEST_IMAGES)
        seen = [(teacher_features(args.teacher, images), y) for images, y in (train, test)]
        result = json.loads(args.teacher.with_suffix(".json").read_text())
        result["probe"] = linear_probe(*seen)
    else:
        result = dict(probes=probe_students(args))
        last = args.checkpoints[-1] if args.checkpoints else None
        backbone = student(args.config, last, pooled=True, seed=args.seed)
        result["finetune"] = finetune(
            backbone, args.config, args.arrays, args.seed, args.finetune_epochs
        )
    args.result.write_text(json.dumps(result))
    print(result)


if __name__ == "__main__":
    main()
