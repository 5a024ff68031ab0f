import torch
import torch.nn.functional as F

from mim_plugins.layers import feed_forward


def test_is_two_linear_maps_with_gelu_between():
    network = feed_forward(4, 12)
    x = torch.randn(3, 4)

    hidden = F.gelu(x @ network.fc1.weight.T + network.fc1.bias)
    expected = hidden @ network.fc2.weight.T + network.fc2.bias

    assert network.fc1.weight.shape == (12, 4)
    assert torch.allclose(network(x), expected, atol=1e-6)


def test_parameters_have_the_names_of_timm():
    names = set(feed_forward(4, 8, drop_rate=0.1).state_dict())

    assert names == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}


def test_dropout_acts_in_training_only():
    network = feed_forward(16, 64, drop_rate=0.5)
    x = torch.randn(3, 16)

    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
