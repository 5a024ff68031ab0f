"""Training with ``torch.compile``: graphs, losses, checkpointing, DDP, accumulation and resume."""

import copy
import logging
from types import SimpleNamespace

import pytest
import tiny_run
import torch
from free_port import free_port
from gpu_model import count_graphs
from image_folders import write_images
from tiny_run import IMAGES, MIXMAE, MRMAE, run, run_in_pieces, same, tiny_config
from torch._dynamo import config as dynamo_config
from torch._dynamo.utils import counters
from torch._functorch import config as functorch_config

from mim_plugins.algorithms.compilation import compilable_blocks
from mim_plugins.cli import ConsoleRunner, process_group
from mim_plugins.errors import ConfigError
from mim_plugins.registry import MODELS

# grids 16, 8, 4 and a mask of 4x4 cells; the last two stages have one window
SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 2)),
    img_size=64,
    window_size=(8, 8, 4),
)
PVT = dict(
    type="mim_plugins.MaskedPVT",
    arch=dict(embed_dims=(8, 8, 16), depths=(1, 1, 1), num_heads=(1, 1, 2), mlp_ratios=(2, 2, 2)),
    img_size=64,
)
SHIFTED = SWIN | dict(window_size=3, shift_windows=True)


def build(backbone, device="cpu", **mixing):
    torch.manual_seed(0)
    cfg = copy.deepcopy(MIXMAE | dict(backbone=backbone))
    cfg["data_preprocessor"]["batch_transform"].update(mixing)
    with torch.device(device):
        return MODELS.build(cfg).to(device).train()


def batches(model, count, size=64):
    torch.manual_seed(1)
    for _ in range(count):
        data = dict(inputs=torch.rand(4, 3, size, size) * 255)
        yield model.data_preprocessor(data, training=True)["inputs"]


@pytest.mark.parametrize(
    ("backbone", "mixing"),
    [
        (SWIN, {}),
        (SWIN | dict(with_cp=True), dict(per_pair=True)),
        (SWIN, dict(range_mask_ratio=0.3)),
        (SHIFTED, dict(per_pair=True)),
        (PVT, dict(range_mask_ratio=0.3)),
    ],
    ids=["swin", "checkpointed", "ratios", "shifted", "pvt"],
)
def test_mixmae_compiles_to_one_graph_for_all_masks(backbone, mixing):
    model = build(backbone, "meta", **mixing)
    model.data_preprocessor.static_shapes = True
    assert count_graphs(model.loss, batches(model, 10)) == (1, 0, {})


def losses(backbone, scope, steps=30):
    """Losses of a run; ``scope`` None is eager."""
    model = build(backbone)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    if scope is not None:
        torch._dynamo.reset()
        model.compile(backend="aot_eager", scope=scope)
    curve = []
    for batch in batches(model, steps):
        loss = model(batch, mode="loss")["loss_rec"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return curve


@pytest.mark.parametrize(
    ("backbone", "scopes"),
    [(SWIN | dict(with_cp=True), ("blocks", "model")), (PVT, ("blocks",))],
    ids=["swin", "pvt"],
)
def test_compiled_training_has_the_losses_of_eager_training(backbone, scopes):
    curve = losses(backbone, None)
    assert curve[-1] < curve[0]
    for scope in scopes:
        assert losses(backbone, scope) == pytest.approx(curve, rel=1e-5)


def test_blocks_of_equal_size_share_a_graph():
    model, graphs = build(SWIN), []
    torch._dynamo.reset()

    def backend(module, _):
        graphs.append(module)
        return module.forward

    model.compile(backend=backend)
    for batch in batches(model, 3):
        model(batch, mode="loss")["loss_rec"].backward()

    assert len(compilable_blocks(model)) == 5
    # three stages and the decoder, embedding of patches, two mergings, loss
    assert len(graphs) == 4 + 1 + 2 + 1


@pytest.mark.parametrize(("rate", "scope"), [(0.0, "blocks"), (0.2, "model")])
def test_stochastic_depth_compiles_the_model_as_one_graph(rate, scope):
    model = build(SWIN | dict(drop_path_rate=rate))
    model.compile(backend="eager")
    assert (model._compiled_call_impl is not None) == (scope == "model")
    for block in compilable_blocks(model):
        assert (block._compiled_call_impl is not None) == (scope == "blocks")


def test_another_scope_is_refused():
    with pytest.raises(ConfigError, match="scope='stages' must be one of blocks, model"):
        build(SWIN).compile(scope="stages")


@pytest.mark.parametrize("budget", [0, 1.5, True, "half"])
def test_a_memory_budget_outside_its_range_is_refused(budget):
    with pytest.raises(ConfigError, match=f"memory_budget={budget!r} must be above 0 and at most"):
        build(SWIN).compile(memory_budget=budget)


def classifier(drop_path_rate):
    torch.manual_seed(0)
    encoder = MODELS.build(SWIN | dict(drop_path_rate=drop_path_rate, out_type="avg_featmap"))
    return torch.nn.Sequential(encoder.train())


def gradients(model):
    torch.manual_seed(1)  # of stochastic depth
    model(torch.ones(4, 3, 64, 64))[0].square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture
def compile_config():
    """Return a function that compiles a model as the runner does."""
    runner = SimpleNamespace(logger=logging.getLogger("test"), model=None, cfg=None)

    def compile_model(model, options):
        runner.model, runner.cfg = model, dict(compile=options)
        ConsoleRunner._maybe_compile(runner, "train_step")
        return model

    torch._dynamo.reset()
    counters.clear()
    with dynamo_config.patch(recompile_limit=2), functorch_config.patch():
        yield compile_model


@pytest.mark.parametrize(("rate", "budget"), [(0.3, 1.0), (0.0, 0.3)])
def test_blocks_of_other_models_have_eager_gradients(compile_config, rate, budget):
    eager = gradients(classifier(rate))
    options = dict(backend="aot_eager", dynamic=False, memory_budget=budget)
    compiled = gradients(compile_config(classifier(rate), options))
    # with rates, each block is different, and more than the limit of 2
    assert counters["stats"]["unique_graphs"] == (4 if rate else 3)
    for name, gradient in eager.items():
        torch.testing.assert_close(compiled[name], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rates", [dict(drop_path_rate=0.1), dict(attn_drop_rate=0.1)])
def test_random_operations_are_not_computed_again(rates):
    with pytest.raises(ConfigError, match=r"memory_budget=0.5 must be 1, because .* is random"):
        build(SWIN | rates).compile(memory_budget=0.5)


def test_other_models_are_not_compiled_as_one_graph(compile_config):
    with pytest.raises(ConfigError, match=r"compile.scope='model' must be 'blocks', because"):
        compile_config(classifier(0.0), dict(scope="model"))


def test_compiling_keeps_keys_and_copies():
    model = build(SWIN)
    keys = list(model.state_dict())
    model.compile(backend="eager")
    assert list(model.state_dict()) == keys
    assert copy.deepcopy(model).data_preprocessor.static_shapes


@pytest.fixture
def process(monkeypatch):
    """One process, started as by torchrun."""
    names = dict(
        RANK=0, LOCAL_RANK=0, WORLD_SIZE=1, MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port()
    )
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("model", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_compiled_ddp_with_accumulation_resumes_exactly(tmp_path, monkeypatch, process, model):
    monkeypatch.setattr(tiny_run, "Runner", ConsoleRunner)
    write_images(tmp_path / "images", IMAGES)
    model = copy.deepcopy(model)
    model["backbone"].update(with_cp=True, drop_path_rate=0.0)

    def configured(name, **changes):
        cfg = tiny_config(tmp_path, name, model, launcher="pytorch", **changes)
        # AdamW would enlarge rounding errors of keys' biases, whose gradient is zero
        sgd = dict(type="SGD", lr=0.1, momentum=0.9)
        cfg.optim_wrapper = dict(type="OptimWrapper", accumulative_counts=2, optimizer=sgd)
        process_group.init_gloo_on_cpu(cfg)
        return cfg

    torch._dynamo.reset()
    counters.clear()
    compiled = dict(compile=dict(backend="aot_eager"))
    whole, _ = run(configured("whole", **compiled))
    assert counters["stats"]["unique_graphs"] > 1
    assert not counters["graph_break"]
    pieces, _ = run_in_pieces(configured("pieces", **compiled), [4])
    assert same(whole, pieces)
    eager, _ = run(configured("eager"))
    for name, weight in eager.items():
        torch.testing.assert_close(whole[name], weight, rtol=1e-4, atol=1e-6, msg=name)
