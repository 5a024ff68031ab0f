"""Packaging of mim_plugins; the wheel includes configs and tools."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

version: dict[str, str] = {}
exec((ROOT / "mim_plugins/version.py").read_text(), version)

# mmcv's build uses C++17, but the headers of torch 2.14 and newer need C++20
COMPILES_MMCV = "torch<2.14"

# No mmcv here: pre-training and classification need mmcv-lite, detection and segmentation mmcv with
# compiled operators, and both must not be installed together. README.md explains the choice.
requires = [
    "mmengine>=0.10.7,<0.11",
    "mmpretrain>=1.2.0,<1.3",
    "numpy>=1.24",
    "safetensors>=0.4",
    "torch>=2.6",
    "torchvision>=0.21",
]
extras = dict(
    hub=["huggingface_hub>=0.30"],
    targets=["open_clip_torch>=3.3,<4", "timm>=1.0.31,<2"],
    lmdb=["lmdb>=1.4"],
    parquet=["pyarrow>=15"],
    hf=["datasets>=4"],  # the first release that runs no scripts of data sets
    completion=["argcomplete>=3.5,<4"],
    bands=["imagecodecs>=2024.1.1", "tifffile>=2024.1.30"],
    dicom=["pydicom>=3,<4"],
    tensorboard=["tensorboard>=2.18"],
    fast=["simplejpeg>=1.8,<2"],
    det=["mmdet>=3.3.0,<3.4", COMPILES_MMCV],
    seg=["mmsegmentation>=1.2.2,<1.3", "ftfy", "regex", COMPILES_MMCV],
    onnx=["onnx>=1.19", "onnxruntime>=1.23", "onnxscript>=0.5.4"],
    monitoring=["prometheus_client>=0.20"],
    quickstart=["matplotlib>=3.8", "scikit-learn>=1.4"],
    docs=["furo>=2025.7", "myst-parser>=4", "sphinx>=8.1", "sphinx-copybutton>=0.5.2"],
    dev=[
        "mypy>=1.14",
        "pytest>=8.2",
        "pytest-xdist>=3.6",
        "ruff>=0.14",
        # torch for GPUs requires the version that fits it; torch for CPUs requires none
        "triton>=3.2; sys_platform == 'linux'",
        "wheel",
    ],
)
extras["archives"] = [*extras["lmdb"], *extras["parquet"], *extras["hf"]]
extras["all"] = sorted({name for names in extras.values() for name in names})

setup(
    name="mim_plugins",
    version=version["__version__"],
    description="MixMAE and MR-MAE pre-training as plugins for MMEngine runners",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["mim_plugins", "mim_plugins.*"]),
    # .mim contains links to configs, tools and model-index.yml, where MMEngine and mim search them
    package_data={"mim_plugins": [".mim/**/*.py", ".mim/**/*.sh", ".mim/**/*.yml", "py.typed"]},
    # these need a checkout: requirements/, setup.py, tests/
    exclude_package_data={
        "mim_plugins": [".mim/tools/dev/*", ".mim/tools/quickstart.sh", ".mim/tools/run_tests.sh"]
    },
    entry_points=dict(console_scripts=["mim-plugins=mim_plugins.cli.main:main"]),
    install_requires=requires,
    extras_require=extras,
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
