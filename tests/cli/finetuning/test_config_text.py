"""Config files that fine-tuning writes."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mim_plugins.apis import read_config
from mim_plugins.cli.finetuning.config_text import Settings, config_text
from mim_plugins.cli.labeled_survey import LabeledSurvey


@pytest.mark.parametrize(
    ("pretrained", "channels", "kind"),
    [
        ("mixmae/swin_t_w7_shifted_300e", 768, "MaskedSwin"),
        ("mixmae/pvt_s_300e", 512, "MaskedPVT"),
        ("mrmae/vit_b_400e", 768, "MaskedViT"),
        ("mrmae/mcmae_s_200e", 384, "MaskedConvViT"),
    ],
)
def test_classifier_has_the_pretrained_encoder(pretrained, channels, kind):
    survey = LabeledSurvey("/data/x", 60, 7)
    settings = Settings(survey, Path("/runs/epoch_1.pth"), 16, 10, 1, Path("work_dirs/x"))
    cfg = Config.fromstring(config_text(settings, read_config(pretrained)), ".py")
    assert cfg.model.backbone.type == f"mim_plugins.{kind}"
    assert cfg.model.backbone.init_cfg.checkpoint == "/runs/epoch_1.pth"
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 7
    assert cfg.model.head.in_channels == channels
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(5e-4 * 16 / 256)
    assert cfg.val_dataloader.dataset.data_prefix == "val"
    assert list(cfg.val_evaluator.topk) == [1, 5]
