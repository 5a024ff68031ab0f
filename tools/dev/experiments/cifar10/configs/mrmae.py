"""The MAE of mae.py with a mimic loss on visible tokens; all other settings are equal."""

_base_ = "mae.py"

model = dict(
    mimics=dict(
        teacher=dict(
            type="mim_plugins.Mimic",
            target_generator=dict(
                type="mim_plugins.TimmTarget",
                model_name="cifar_vit",
                pretrained="teacher.pth",
                features="norm",
                normalize=True,
            ),
            distance="mse",
            weight=1.0,
        ),
    ),
)
