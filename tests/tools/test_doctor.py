"""tools/doctor.py on faked machines."""

import argparse
import importlib.util
import re
import runpy
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from tool_runs import TOOLS, run_process

GOOD = {
    "torch": "2.11.0+cu128",
    "torchvision": "0.26.0",
    "mmcv": "2.1.0",
    "mmengine": "0.10.7",
    "mmpretrain": "1.2.0",
    "numpy": "2.4.6",
}

NEEDS = [
    "mmengine<0.11,>=0.10.7",
    "mmpretrain<1.3,>=1.2.0",
    "numpy>=1.24",
    "torch>=2.6",
    'open_clip_torch<4,>=3.3; extra == "targets"',
    "timm<2,>=1.0.31; extra == 'targets'",
    "mmdet<3.4,>=3.3.0; extra == 'det'",
    "mmsegmentation<1.3,>=1.2.2; extra == 'seg'",
    "regex; extra == 'seg'",
    "ruff>=0.14; extra == 'dev'",
    "timm<2,>=1.0.31; extra == 'all'",
]

REMEDY = (
    "; detection and segmentation need mmcv with compiled operators and then"
    " pip install 'mim_plugins[det,seg]', see docs/compatibility.md"
)


@pytest.fixture
def doctor(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS / "misc"))
    monkeypatch.delitem(sys.modules, "doctor", raising=False)
    return importlib.import_module("doctor")


def test_every_place_limits_torch_where_mmcv_is_compiled(doctor, monkeypatch):
    limit = ".".join(map(str, importlib.import_module("checks.packages").NO_MMCV_OPERATORS))
    extras = {}
    monkeypatch.setattr("setuptools.setup", lambda **options: extras.update(options))
    runpy.run_path(str(TOOLS.parent / "setup.py"))
    for name in ("det", "seg", "all"):
        assert f"torch<{limit}" in extras["extras_require"][name]
    assert not any("<" in need for need in extras["install_requires"] if need.startswith("torch"))
    page = (TOOLS.parent / "docs/compatibility.md").read_text()
    for command in re.findall(r"```bash\n(.*?)```", page, re.DOTALL):
        assert ("MMCV_WITH_OPS=1" in command) == (f"'torch<{limit}'" in command), command


@pytest.fixture
def fake(doctor, monkeypatch):
    """Fake the installed packages, all of which import except ``broken``."""

    def install(broken=(), **versions):
        hyphens = {name.replace("_lite", "-lite"): v for name, v in versions.items()}
        packages = GOOD | {name.replace("onedl_", "onedl-"): v for name, v in hyphens.items()}
        module = importlib.import_module("checks.packages")
        monkeypatch.setattr(module, "installed", packages.get)
        monkeypatch.setattr("importlib.metadata.requires", lambda name: NEEDS)
        monkeypatch.setattr(module, "import_error", lambda n: "boom" if n in broken else "")
        return doctor

    return install


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (dict(transformers="5.24.0", pycocotools="2.0.8"), 1),
        (dict(transformers="6.0", pycocotools="2.0.8"), 1),
        (dict(transformers="5.24.0"), 0),
        (dict(transformers="4.57.1", pycocotools="2.0.8"), 0),
    ],
)
def test_transformers_5_is_reported_if_mmpretrain_imports_it(fake, versions, expected):
    texts = [r.text for r in fake(**versions).check_packages() if r.level == "WARN"]
    assert sum("multimodal models need an older one" in text for text in texts) == expected


def levels(results):
    return [result.level for result in results]


def test_good_packages_are_ok(fake):
    doctor = fake(mmdet="3.3.0", mmsegmentation="1.2.2", timm="1.0.31", open_clip_torch="3.3.0")
    for check in (doctor.check_torch, doctor.check_mmcv, doctor.check_packages):
        assert set(levels(check())) == {"OK"}


@pytest.mark.parametrize(
    ("check", "versions", "level", "words"),
    [
        ("check_torch", dict(torch=None), "FAIL", "torch is missing: pip install"),
        ("check_torch", dict(torch="2.5.1"), "FAIL", "torch 2.5.1"),
        (
            "check_torch",
            dict(torchvision="0.25.0"),
            "FAIL",
            "torchvision 0.26.*, but 0.25",
        ),
        ("check_torch", dict(torchvision=None), "FAIL", "but none is installed: pip install"),
        ("check_torch", dict(torch="2.6.0", torchvision="0.21.0"), "OK", "torch 2.6.0"),
        ("check_torch", dict(broken=("torchvision",)), "FAIL", "do not import: boom"),
        ("check_mmcv", dict(mmcv_lite="2.1.0"), "FAIL", "overwrite each other: pip uninstall"),
        ("check_mmcv", dict(mmcv=None), "FAIL", "mmcv is missing"),
        ("check_mmcv", dict(mmcv=None, mmcv_lite="2.1.0"), "OK", "no detection"),
        ("check_mmcv", dict(mmcv="2.2.0"), "WARN", "refuse 2.2.0"),
        ("check_mmcv", dict(mmcv="1.7.2"), "FAIL", "1.7.2"),
        ("check_mmcv", dict(broken=("mmcv.ops",)), "WARN", "MMCV_WITH_OPS=1"),
        ("check_mmcv", dict(torch="2.14.1", mmcv=None), "FAIL", "needs torch older than 2.14"),
        (
            "check_mmcv",
            dict(torch="2.15.0", broken=("mmcv.ops",)),
            "WARN",
            "mmcv 2.1.0 does not compile with torch 2.15.0",
        ),
        ("check_mmcv", dict(torch="2.14.1"), "OK", "with compiled operators"),
        ("check_mmcv", dict(torch="2.14.1", mmcv=None, mmcv_lite="2.1.0"), "OK", "no detection"),
        ("check_packages", dict(mmpretrain=None), "FAIL", "mmpretrain is missing: pip install"),
        ("check_packages", dict(mmengine="0.11.0"), "FAIL", "mmengine>=0.10.7,<0.11"),
        ("check_packages", dict(mmdet="3.0.0"), "WARN", "mmdet 3.0.0, for [det]: pip install"),
        ("check_packages", dict(timm=None), "OK", "not installed, only for the extra"),
        ("check_packages", dict(regex="2024.1"), "OK", "regex 2024.1, for [seg]"),
        ("check_packages", dict(broken=("mmengine",)), "FAIL", "mmengine does not import: boom"),
        ("check_packages", dict(broken=("cv2",)), "FAIL", "OpenCV does not import: boom"),
    ],
)
def test_each_problem_is_reported_with_its_fix(fake, check, versions, level, words):
    results = list(getattr(fake(**versions), check)())
    matching = [result.level for result in results if words in result.text]
    assert matching == [level], results


NO_ORIGINALS = dict(mmcv=None, mmengine=None, mmpretrain=None)
FORKS = dict(
    onedl_mmcv="2.3.6",
    onedl_mmengine="0.10.12",
    onedl_mmpretrain="1.3.6",
    onedl_mmdetection="3.5.1",
    onedl_mmsegmentation="1.4.2",
)


def test_forks_replace_the_packages(fake):
    doctor = fake(**NO_ORIGINALS, **FORKS)
    results = [*doctor.check_mmcv(), *doctor.check_packages()]
    assert set(levels(results)) == {"OK"}, results
    text = "\n".join(result.text for result in results)
    for name, version in FORKS.items():
        assert f"{name.replace('_', '-')} {version}" in text


@pytest.mark.parametrize(
    ("check", "versions", "level", "words"),
    [
        ("check_mmcv", dict(mmcv="2.1.0"), "FAIL", "onedl-mmcv and mmcv overwrite each other"),
        ("check_mmcv", dict(mmcv_lite="2.1.0"), "FAIL", "onedl-mmcv and mmcv-lite overwrite"),
        ("check_mmcv", dict(broken=("mmcv.ops",)), "WARN", "no compiled operators (boom)"),
        ("check_packages", dict(mmpretrain="1.2.0"), "FAIL", "pip uninstall -y onedl-mmpretrain"),
        ("check_packages", dict(onedl_mmdetection="3.4.0"), "WARN", "3.4.0 is not >=3.5.1,<3.6"),
    ],
)
def test_each_problem_of_a_fork_is_reported(fake, check, versions, level, words):
    results = list(getattr(fake(**(NO_ORIGINALS | FORKS | versions)), check)())
    assert [result.level for result in results if words in result.text] == [level], results


def fake_torch(doctor, monkeypatch, devices, bf16=True, nccl=True, mmcv_cuda="12.8"):
    cuda = SimpleNamespace(
        is_available=lambda: devices > 0,
        device_count=lambda: devices,
        get_device_properties=lambda _: SimpleNamespace(name="Card", total_memory=80 * 2**30),
        is_bf16_supported=lambda including_emulation: bf16 or including_emulation,
    )
    torch = SimpleNamespace(
        cuda=cuda,
        version=SimpleNamespace(cuda="12.8", hip=None),
        distributed=SimpleNamespace(is_nccl_available=lambda: nccl),
    )
    operators = SimpleNamespace(get_compiling_cuda_version=lambda: mmcv_cuda)
    monkeypatch.setattr("checks.machine.try_import", {"torch": torch, "mmcv.ops": operators}.get)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (dict(devices=0), ["WARN"]),
        (dict(devices=1), ["OK", "OK"]),
        (dict(devices=1, bf16=False, nccl=False), ["OK", "WARN"]),
        (dict(devices=2, nccl=False), ["OK", "OK", "OK", "FAIL"]),
        (dict(devices=1, mmcv_cuda="not available"), ["OK", "OK", "WARN"]),
    ],
)
def test_gpus_are_reported_with_memory_and_precision(doctor, monkeypatch, arguments, expected):
    fake_torch(doctor, monkeypatch, **arguments)
    assert levels(doctor.check_gpu()) == expected


@pytest.mark.parametrize(("free", "level"), [(2**20, "WARN"), (100 * 2**30, "OK")])
def test_little_space_is_a_warning(doctor, monkeypatch, tmp_path, free, level):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    assert levels(doctor.check_shared_memory(str(tmp_path))) == [level]
    assert levels(doctor.check_disk(str(tmp_path / "not/yet/there"))) == [level]


def test_read_only_folder_fails(doctor, monkeypatch, tmp_path):
    monkeypatch.setattr("os.access", lambda *_: False)
    assert levels(doctor.check_disk(str(tmp_path))) == ["FAIL"]


@pytest.mark.parametrize(("value", "level"), [("1", "OK"), ("999", "WARN"), ("many", "WARN")])
def test_more_threads_than_cores_are_a_warning(doctor, monkeypatch, value, level):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr("checks.machine.try_import", lambda _: None)
    assert levels(doctor.check_threads()) == [level]
    opencv = SimpleNamespace(getNumThreads=lambda: 999)
    monkeypatch.setattr("checks.machine.try_import", lambda _: opencv)
    assert levels(doctor.check_threads()) == [level, "WARN"]


def arguments(**given):
    return argparse.Namespace(
        **(dict(config=None, data_root=None, cfg_options=[], work_dir=".") | given)
    )


def test_check_that_raises_fails_and_the_others_still_run(fake, monkeypatch):
    doctor = fake()
    monkeypatch.setattr(doctor, "check_python", lambda: 1 / 0)
    results = list(doctor.run_checks(arguments()))
    assert results[0].level == "FAIL"
    assert "ZeroDivisionError" in results[0].text
    assert len(results) > 5


def test_data_weights_and_teachers_of_a_config_are_checked(doctor, tmp_path):
    results = list(doctor.check_config("mixmae/swin_b_finetune_100e", str(tmp_path / "none")))
    text = "\n".join(result.text for result in results)
    assert levels(results) == ["OK", "FAIL", "FAIL"]
    assert "there is no data folder" in text
    assert "no pre-trained weights 'work_dirs/swin_b_600e/epoch_600.pth'" in text
    (tmp_path / "weights.pth").touch()
    given = [f"model.backbone.init_cfg.checkpoint={tmp_path / 'weights.pth'}"]
    results = doctor.check_config("mixmae/swin_b_finetune_100e", str(tmp_path / "none"), given)
    assert levels(results) == ["OK", "FAIL", "OK"]
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((8, 8, 3), dtype=np.uint8))
    small = ["model.backbone.arch=tiny", "model.decoder.depth=1", "train_dataloader.num_workers=0"]
    small.append("train_dataloader.persistent_workers=False")
    fine = list(doctor.check_config("mixmae/swin_b_600e", str(tmp_path), small))
    assert levels(fine) == ["OK", "OK", "OK"]
    assert fine[-1].text == "data sets, model and metrics agree"


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("transfer/coco/mask_rcnn_mixmae_swin_b_36e", "mmdet"),
        ("transfer/ade20k/upernet_mixmae_swin_b_160k", "mmseg"),
    ],
)
def test_detection_and_segmentation_need_their_packages(doctor, monkeypatch, name, scope):
    pytest.importorskip(scope, exc_type=ImportError)  # our configs inherit from its configs
    lacking = {scope: f"No module named '{scope}'", "mmcv.ops": "No module named 'mmcv._ext'"}
    monkeypatch.setattr("checks.config_needs.import_error", lambda name: lacking.get(name, ""))
    for missing in ("mmcv.ops", scope):
        assert ("FAIL", lacking[missing] + REMEDY) in doctor.check_config(name, None)
        del lacking[missing]
    assert REMEDY not in str(list(doctor.check_config(name, None)))


@pytest.mark.parametrize(
    ("reason", "remedy"), [("mmdet is not installed", REMEDY), ("No module named 'mine'", "")]
)
def test_config_without_its_packages_fails_with_the_fix(doctor, tmp_path, reason, remedy):
    (tmp_path / "config.py").write_text(f"raise ImportError({reason!r})")
    (result,) = doctor.check_config(str(tmp_path / "config.py"), None)
    assert result.level == "FAIL"
    assert result.text.endswith(f"{reason}{remedy}")


def test_teacher_without_weights_fails_with_the_option_to_set(doctor):
    target = dict(type="mim_plugins.OpenCLIPTarget", pretrained="nowhere.safetensors")
    result = importlib.import_module("checks.config_needs").check_teacher("clip", target)
    assert result.level == "FAIL"
    assert "nowhere.safetensors" in result.text or "open_clip" in result.text
    assert "model.mimics.clip.target_generator.pretrained=FILE" in result.text


def test_missing_config_fails(doctor):
    (result,) = doctor.check_config("mixmae/nothing", None)
    assert result.level == "FAIL"


def test_setuptools_without_pkg_resources_fails(fake, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda n: None if n == "pkg_resources" else find_spec(n)
    )
    failed = [result.text for result in fake().check_packages() if result.level == "FAIL"]
    assert failed == ["pkg_resources, which mmengine needs: pip install 'setuptools<80'"]


def test_the_table_of_packages_contains_every_requirement(doctor, monkeypatch):
    given = {}
    monkeypatch.setattr("setuptools.setup", lambda **options: given.update(options))
    runpy.run_path(str(TOOLS.parent / "setup.py"))
    lines = list(given["install_requires"])
    for extra, needs in given["extras_require"].items():
        lines += [f"{need}; extra == '{extra}'" for need in needs]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: lines)
    page = (TOOLS.parent / "docs/compatibility.md").read_text()
    table = page.partition("\n\n`python tools/doctor.py`")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    for need in importlib.import_module("checks.needs").needs():
        accepted = [row[2] for row in rows if need.name in row[0].strip("| ").split(", ")]
        assert len(accepted) == 1, need
        for version in filter(None, (need.low, need.high)):
            assert version.removesuffix(".0") in accepted[0], need


def test_doctor_runs_and_fails_without_any_package():
    # -S and -E hide the packages of the environment
    command = (sys.executable, "-S", "-E", TOOLS / "doctor.py", "--config", "swin_b_600e")
    result = run_process(*command, code=1)
    assert "FAIL  torch is missing" in result.stdout
    assert "mim_plugins does not import" in result.stdout
    assert not result.stderr
