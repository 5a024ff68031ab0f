import pytest

from mim_plugins.analysis import build_on_meta
from mim_plugins.apis import read_config
from mim_plugins.cli.model_report import chosen_size, report


def info(config, *size):
    model = build_on_meta(read_config(config))
    return "\n".join(report(config, model, chosen_size(model.backbone, size)))


def number(text, label):
    (line,) = [line for line in text.splitlines() if line.strip().startswith(label)]
    return float(line.strip().removeprefix(label).split()[0])


def test_report_of_a_pretraining_config_is_complete():
    text = info("mixmae/swin_b_600e")
    assert number(text, "backbone, features") == 16.3
    assert number(text, "pre-training, forward") > 16.3
    assert number(text, "parameters") == pytest.approx(114.2, abs=0.1)
    assert "MixMAE with MaskedSwin" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["0", "4", "56x56", "3136", "128", "2"] in rows
    assert ["3", "32", "7x7", "49", "1024", "2"] in rows


def test_finetuning_config_is_reported_at_another_size():
    text = info("mixmae/swin_b_finetune_100e", 256, 192)
    assert "256x192 pixels" in text
    assert number(text, "training, forward") == number(text, "backbone, features") > 0
    assert "pre-training" not in text


@pytest.mark.filterwarnings("ignore:.*pretrained=None")
def test_teachers_need_no_weights_and_their_cost_is_reported():
    pytest.importorskip("timm")
    text = info("mrmae/vit_b_dino_400e")
    assert number(text, "of which teachers") == pytest.approx(17.5, abs=0.3)
    assert number(text, "pre-training, forward") > number(text, "of which teachers")
