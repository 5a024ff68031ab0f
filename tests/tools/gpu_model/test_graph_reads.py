import torch
from gpu_model.graph_reads import base_of, find_reads, role, size_of
from torch.fx.experimental.proxy_tensor import make_fx


def graph(function, *shapes):
    return make_fx(function)(*[torch.empty(shape, device="meta") for shape in shapes]).graph


def roles(function, *shapes):
    return [role(node) for node in graph(function, *shapes).nodes]


def test_each_operation_has_a_role():
    found = roles(lambda x, w: (x.t().exp() @ w).sum(1).sort()[0], (4, 8), (4, 2))
    names = ["input", "input", "view", "elementwise", "library", "reduction", "library", "item"]
    assert [x for x in found if x != "output"][: len(names)] == names
    assert found[-1] == "output"


def test_copies_that_change_nothing_are_views():
    assert roles(lambda x: x.clone(), (4, 8))[1] == "view"
    assert roles(lambda x: x.t().contiguous(), (4, 8))[2] == "elementwise"


def test_parts_of_split_tensors_belong_to_the_tensor():
    nodes = list(graph(lambda x: x.split(2)[1].exp(), (4, 8)).nodes)
    used = nodes[-2].args[0]
    assert base_of(used) is nodes[0]
    assert size_of(used) == 2 * 8 * 4


def test_expressions_read_the_tensors_in_memory():
    nodes = list(graph(lambda x, y: (x[:, :2] * y.t()).exp().sum(1), (4, 8), (2, 4)).nodes)
    reads, in_memory = find_reads(nodes[:-1], {node: role(node) for node in nodes})
    found = {(read.source, read.bytes, read.reordered) for read in reads[nodes[-2]]}
    assert found == {(nodes[0], 4 * 8, False), (nodes[1], 4 * 8, True)}
    assert in_memory == set()
