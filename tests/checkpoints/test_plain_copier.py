from collections import Counter, OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch

from mim_plugins.checkpoints.plain_copier import LOST, PlainCopier, plain_tensor
from mim_plugins.checkpoints.plain_data import check_plain


class Text(str):
    """Subclass, which a checkpoint may not contain."""


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Counter(a=2), dict(a=2)),
        ({3, 1, 2}, [1, 2, 3]),
        (deque([1, (2, Text("b"))]), [1, (2, "b")]),
        (range(3), [0, 1, 2]),
        (Path("a/b"), "a/b"),
        (bytearray(b"x"), b"x"),
        (torch.Size([2, 3]), (2, 3)),
        (np.str_("a"), "a"),
        (dict(a=dict(b=torch.float16)), dict(a=dict(b="torch.float16"))),
    ],
)
def test_values_become_plain_and_the_place_is_noted(value, plain):
    copier = PlainCopier()
    copied = copier.copy(value, "meta")
    assert copied == plain
    check_plain(copied, "meta")
    assert copier.changed
    assert copier.lost == []


def test_plain_values_are_copied_without_a_note():
    value = dict(a=[1, 2.5, None, True, "x"], b=OrderedDict(c=(1, 2)))
    copier = PlainCopier()
    copied = copier.copy(value, "meta")
    assert copied == value
    assert copied["a"] is not value["a"]
    assert (copier.changed, copier.lost) == ([], [])


def test_entries_without_a_plain_form_are_left_out():
    copier = PlainCopier()
    assert copier.copy(dict(good=1, bad=object(), worse=[1, object()]), "meta") == dict(good=1)
    assert [each.partition(" ")[0] for each in copier.lost] == ["meta.bad", "meta.worse"]


def test_functions_become_the_given_text():
    assert PlainCopier().copy(print, "x") is LOST
    assert PlainCopier(function_text=lambda each: each.__name__).copy(print, "x") == "print"


@pytest.mark.parametrize(
    "tensor", [torch.eye(3).to_sparse(), torch.zeros(1).expand(3000, 3000), torch.eye(2)]
)
def test_tensors_become_dense_and_store_their_values(tensor):
    plain = plain_tensor(tensor)
    check_plain(plain, "x")
    assert torch.equal(plain, tensor.to_dense())
    assert plain_tensor(torch.zeros(2, device="meta")) is LOST
