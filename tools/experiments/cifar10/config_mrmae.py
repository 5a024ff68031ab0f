"""The MAE of config_mae.py, whose visible tokens also mimic the teacher; all else is equal."""

_base_ = "config_mae.py"

custom_imports = dict(
    imports=["mim_plugins", "cifar_arrays", "teacher"], allow_failed_imports=False
)
model = dict(
    mimics=dict(
        teacher=dict(
            type="mim_plugins.Mimic",
            target=dict(
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
