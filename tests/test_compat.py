from importlib import import_module, metadata

import pytest

from mim_plugins import compat


@pytest.fixture
def installed(monkeypatch):
    """Make ``importlib.metadata`` report these versions; return the modules that are imported."""
    imported = []

    def install(**versions):
        def version(name):
            if name not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name]

        class Dependency:
            WITH_MULTIMODAL = True

        def import_dependency(name):
            imported.append((name, Dependency))
            return Dependency

        monkeypatch.setattr(compat.metadata, "version", version)
        monkeypatch.setattr(compat, "import_module", import_dependency)
        return imported

    return install


@pytest.mark.parametrize("version", ["5.0.0", "5.24.1", "6.0.0.dev0", "10.1"])
def test_multimodal_models_are_omitted_with_transformers_5(installed, version):
    imported = installed(transformers=version, pycocotools="2.0", mmpretrain="1.2.0")
    compat.leave_out_multimodal_models()
    ((name, dependency),) = imported
    assert name == "mmpretrain.utils.dependency"
    assert dependency.WITH_MULTIMODAL is False


@pytest.mark.parametrize(
    "versions",
    [
        dict(transformers="4.57.1", pycocotools="2.0", mmpretrain="1.2.0"),
        dict(transformers="5.0.0", mmpretrain="1.2.0"),
        dict(pycocotools="2.0", mmpretrain="1.2.0"),
        dict(transformers="5.0.0", pycocotools="2.0"),
        dict(),
    ],
)
def test_other_environments_import_nothing(installed, versions):
    imported = installed(**versions)
    compat.leave_out_multimodal_models()
    assert imported == []


def test_mmpretrains_classifiers_import_in_this_environment():
    pytest.importorskip("mmpretrain", exc_type=ImportError)
    models = import_module("mmpretrain.models")
    assert models.ImageClassifier
    assert models.LinearClsHead
