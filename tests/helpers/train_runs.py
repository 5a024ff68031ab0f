"""Tiny configs for tools/train.py, and the records of a run."""

import json
from pathlib import Path

import torch
from tool_runs import TOOLS, run_tool

BACKBONE = dict(
    arch=dict(_delete_=True, embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
    img_size=64,
    window_size=4,
)


def write_config(path, base, settings, more):
    lines = [f"_base_ = {str(TOOLS.parent / 'configs' / base)!r}"]
    lines += [f"{name} = {value!r}" for name, value in settings.items()]
    path.write_text("\n".join(lines) + "\n" + more)
    return path


def train(config, *arguments, code=0):
    return run_tool("train.py", config, *arguments, code=code)


def losses(work_dir):
    (file,) = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))[-1:]
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def state_dict(file):
    return torch.load(file, weights_only=False)["state_dict"]
