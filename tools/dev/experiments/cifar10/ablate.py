"""Ablate the components of MixMAE and MR-MAE on CIFAR-10, one change at a time."""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from compare import add_arguments, prepare
from report import heading, markdown, spread

# changes of the config, by method and name of the variant
VARIANTS: dict[str, dict[str, dict[str, Any]]] = dict(
    mixmae=dict(
        ratio25={"model.data_preprocessor.batch_transform.mask_ratio": 0.25},
        ratio75={"model.data_preprocessor.batch_transform.mask_ratio": 0.75},
        unmasked_attention={"model.backbone.type": "mim_plugins.UnmaskedAttentionSwin"},
        single_reconstruction={"model.type": "mim_plugins.SingleReconstruction"},
        plain_pixels={"model.head.norm_pix": False},
        mask_per_pair={"model.data_preprocessor.batch_transform.per_pair": True},
        lr_half={"optim_wrapper.optimizer.lr": 7.5e-4},
        lr_double={"optim_wrapper.optimizer.lr": 3e-3},
    ),
    simmim=dict(
        ratio50={"train_dataloader.dataset.mask.mask_ratio": 0.5},
        lr_half={"optim_wrapper.optimizer.lr": 7.5e-4},
        lr_double={"optim_wrapper.optimizer.lr": 3e-3},
    ),
    mrmae=dict(
        ratio25={"model.mask_ratio": 0.25},
        focused={"model.focus_teacher": "teacher"},
        weight_quarter={"model.mimics.teacher.weight": 0.25},
        weight4={"model.mimics.teacher.weight": 4.0},
        fusion={"model.mimics.teacher.fusion_layers": [0, 1, 2]},
        smooth_l1={"model.mimics.teacher.distance": "smooth_l1"},
        cosine={"model.mimics.teacher.distance": "cosine"},
    ),
)


def table(results: list[dict[str, Any]]) -> str:
    """Format one row for every variant."""
    kinds = list(results[0]["final"])
    rows = [["method", "change", *map(heading, kinds)]]
    for method, variants in VARIANTS.items():
        for variant in ("", *variants):
            finals = [
                r["final"] for r in results if (r["method"], r["variant"]) == (method, variant)
            ]
            cells = [spread([final[kind] for final in finals]) for kind in kinds]
            change: dict[str, Any] = VARIANTS[method].get(variant, {"": "none"})
            rows.append([method, "; ".join(f"`{k}={v!r}`" if k else v for k, v in change.items())])
            rows[-1] += cells
    return markdown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    args = parser.parse_args()
    start = time.monotonic()
    experiment = prepare(args)
    experiment.size = replace(experiment.size, finetune={})
    experiment.teacher_features()
    unchanged: dict[str, dict[str, Any]] = {"": {}}
    with ThreadPoolExecutor(args.processes) as pool:
        jobs = {
            (method, variant): [
                pool.submit(
                    experiment.pretrain,
                    method,
                    experiment.size.ablation_epochs,
                    seed,
                    variant,
                    changes,
                )
                for seed in args.seeds
            ]
            for method, variants in VARIANTS.items()
            for variant, changes in (unchanged | variants).items()
        }
        results = [
            dict(method=method, variant=variant, **job.result())
            for (method, variant), seeds in jobs.items()
            for job in seeds
        ]
    (experiment.work / "ablations.json").write_text(json.dumps(results))
    text = table(results)
    Path(experiment.work / "ablations.md").write_text(text)
    print(f"\n{text}\nin {(time.monotonic() - start) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
