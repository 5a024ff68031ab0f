"""Evaluate frozen encoders by k-nearest neighbors and a linear probe."""

import argparse
import json
from pathlib import Path

import cifar_vit  # noqa: F401  registers the teacher
import torch
from cifar_arrays import load
from experiment import encoder_of
from mmengine.config import Config
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from mim_plugins.evaluation import LabeledFeatures, knn_accuracy
from mim_plugins.registry import MODELS


def build_encoder(cfg: Config, checkpoint: Path | None, seed: int) -> nn.Module:
    """Build the encoder of a pre-training, with random weights if ``checkpoint`` is None."""
    torch.manual_seed(seed)
    settings, prefix = encoder_of(cfg)
    settings = dict(settings, out_type="avg_featmap")
    if checkpoint is not None:
        settings["init_cfg"] = dict(type="Pretrained", checkpoint=str(checkpoint), prefix=prefix)
    encoder = MODELS.build(settings)
    if checkpoint is not None:
        encoder.init_weights()
    return encoder.eval()


@torch.no_grad()
def encoder_features(encoder: nn.Module, images: Tensor, cfg: Config) -> Tensor:
    """Compute pooled features (N, D) of images (N, 3, H, W), normalized as in pre-training."""
    mean, std = torch.tensor([cfg.mean, cfg.std]).view(2, 1, 3, 1, 1)
    device = next(encoder.parameters()).device
    parts = (((part.float() - mean) / std).to(device) for part in images.split(500))
    return torch.cat([encoder(part)[0].cpu() for part in parts])


@torch.no_grad()
def teacher_features(generator: dict, images: Tensor) -> Tensor:
    """Compute the mean of a teacher's tokens of each image (N, D), as used for the targets."""
    target = MODELS.build(generator)
    parts = images.split(500)
    return torch.cat([target(part / 255, (8, 8)).features.mean(dim=1) for part in parts])


def accuracies(train: LabeledFeatures, test: LabeledFeatures) -> dict[str, float]:
    """Return the test accuracy, in percent, of 20 neighbors and of logistic regression."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    classifier.fit(train.features.numpy(), train.labels.numpy())
    probe = 100 * float(classifier.score(test.features.numpy(), test.labels.numpy()))
    return dict(knn=knn_accuracy(train, test)[20].top1, probe=probe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays", type=Path, help="folder of the decoded data")
    parser.add_argument("result", type=Path, help="JSON file to write")
    parser.add_argument("--config", type=Path, help="config of the pre-training")
    parser.add_argument(
        "--checkpoints", type=Path, nargs="*", help="checkpoints by epoch (default: random weights)"
    )
    parser.add_argument("--teacher", type=Path, help="evaluate this teacher instead")
    parser.add_argument("--teacher-of", type=Path, help="evaluate the teacher of this config")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labeled", type=int, required=True, help="training images")
    parser.add_argument("--test-images", type=int, required=True)
    args = parser.parse_args()
    train = load(args.arrays, "train", args.labeled)
    test = load(args.arrays, "test", args.test_images)
    generator: dict | None = None
    if args.teacher:
        generator = dict(type="TimmTarget", model_name="cifar_vit", pretrained=str(args.teacher))
    elif args.teacher_of:
        generator = Config.fromfile(args.teacher_of).model.mimics.teacher.target_generator
    result = {}
    for checkpoint in args.checkpoints or [None]:
        if generator:
            features = [
                LabeledFeatures(teacher_features(generator, x), y) for x, y in (train, test)
            ]
        else:
            cfg = Config.fromfile(args.config)
            encoder = build_encoder(cfg, checkpoint, args.seed)
            if torch.cuda.is_available():
                encoder.cuda()
            features = [
                LabeledFeatures(encoder_features(encoder, x, cfg), y) for x, y in (train, test)
            ]
        epoch = checkpoint.stem.removeprefix("epoch_") if checkpoint else "0"
        result[epoch] = accuracies(*features)
        print(f"epoch {epoch}: {result[epoch]}", flush=True)
    args.result.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
