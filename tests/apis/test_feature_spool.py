"""Features on the disk."""

import numpy as np

from mim_plugins.apis.feature_spool import FeatureSpool


def test_parts_are_read_in_order_in_small_blocks(tmp_path):
    rows = np.arange(21, dtype=np.float64).reshape(7, 3)
    spool = FeatureSpool(tmp_path)
    for part, (first, last) in ((2, (4, 6)), (0, (0, 4)), (2, (6, 7))):
        spool.append(part, [f"{n}\n" for n in range(first, last)], dict(a=rows[first:last]))
    blocks = list(spool.rows("a", 3, count=2))
    assert [len(block) for block in blocks] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), rows)
    np.testing.assert_array_equal(np.concatenate(list(spool.rows("a", 3))), rows)
    assert [name for part in range(3) for name in spool.names(part)] == [f"{n}\n" for n in range(7)]
