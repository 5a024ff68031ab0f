import argparse
from types import SimpleNamespace

import pytest
import torch

from mim_plugins.cli import predictions
from mim_plugins.errors import CorruptImageError


@pytest.mark.parametrize(
    ("classes", "shown"),
    [
        (["a"], ["0  a", "1", "2"]),  # a head with unused outputs
        (["a\nb", "\udcff", "d e"], [r"0  a\nb", r"1  \xff", "2  d e"]),
        (None, ["0", "1", "2"]),
    ],
)
def test_names_of_any_bytes_are_printed_in_one_line(capsys, classes, shown):
    predictions.show(5, [("x.png", torch.tensor([0.6, 0.3, 0.1]))], classes)
    image, *lines = capsys.readouterr().out.encode().decode().splitlines()
    assert image == "x.png"
    assert [line.partition("%")[2].strip() for line in lines] == shown


def test_an_image_that_the_pipeline_refuses_is_skipped(monkeypatch):
    def pipeline(image):
        if image == "long.png":
            raise CorruptImageError("corrupt image 'long.png': too large", image, "too large")
        return [dict(inputs=torch.full((1, 1, 1), float(image[0])))]

    monkeypatch.setattr(predictions, "evaluation_pipeline", lambda model: pipeline)
    found = SimpleNamespace(
        test_step=lambda batch: [SimpleNamespace(pred_score=each) for each in batch["inputs"]]
    )
    names = ["1.png", "long.png", "2.png", "1.png"]

    results, errors = predictions.predict(found, argparse.Namespace(images=names, batch_size=2))

    assert [(name, score.item()) for name, score in results] == [
        ("1.png", 1.0), ("2.png", 2.0), ("1.png", 1.0),
    ]  # fmt: skip
    assert errors == ["corrupt image 'long.png': too large"]
