import numpy as np
import pytest


@pytest.fixture
def photos():
    """RGB images of noise in three sizes."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (h, 70, 3), dtype=np.uint8) for h in (36, 50, 64)]
