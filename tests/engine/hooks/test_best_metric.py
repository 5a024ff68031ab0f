from types import SimpleNamespace

import pytest

from mim_plugins.engine.hooks.best_metric import lacks_metric


@pytest.mark.parametrize(
    ("names", "lacks"),
    [(["acc"], False), (["auto"], False), (["top11"], True), (["acc", "top11"], True)],
)
def test_a_missing_metric_is_logged_instead_of_raised(names, lacks):
    errors = []
    runner = SimpleNamespace(logger=SimpleNamespace(error=errors.append))
    assert lacks_metric(names, dict(acc=0.5, loss=1.0), runner) is lacks
    expected = "save_best='top11': validation returns acc, loss; no best checkpoint is saved"
    assert errors == ([expected] if lacks else [])
