"""Seeds and generators with which the samplers of a run begin."""

import json
import logging
from numbers import Integral
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.logging import MessageHub, print_log

from ...errors import CheckpointError
from .sampler_parts import SamplerParts
from .sampler_stream import generator_state, set_generator_state

STATES = "sampler_states"
"""Message hub key of the first seeds and generators, one entry per process if they differ."""


def load_sampler_seeds(parts: SamplerParts, hub: MessageHub) -> bool:
    """Give samplers the seeds and generators of the run's start, which its checkpoints contain.

    Chosen seeds and unseeded generators differ in a resumed process. With another number of
    processes, seeds and generators that differ between processes are those of this run.

    Args:
        parts: samplers and what they contain.
        hub: message hub of the run, of which the checkpoint contains that of rank 0.

    Returns:
        True if all processes have the same seeds and generators.

    Raises:
        CheckpointError: the state of a generator in the checkpoint is not valid.
    """
    seeded = [each for each in parts.samplers if isinstance(getattr(each, "seed", None), Integral)]
    if not seeded and not parts.generators:
        return True
    own = dict(
        seeds=[int(each.seed) for each in seeded], generators=list(map(_encode, parts.generators))
    )
    everyone = all_gather_object(own)
    states = _of_run(everyone, hub.runtime_info)
    agree = _agree(states)
    hub.update_info(STATES, states[:1] if agree else states)
    mine = states[get_rank()]
    # innermost first, because others may return the seed of a sampler within them
    for each, seed in reversed(list(zip(seeded, mine["seeds"], strict=True))):
        _set_seed(each, seed)
    for generator, text in zip(parts.generators, mine["generators"], strict=True):
        if _encode(generator) != text:
            _decode(generator, text)
    return agree


def _of_run(everyone: list[dict], info: dict) -> list[dict]:
    """Return the stored entry of each process if it fits the samplers, else the present one."""
    stored = info.get(STATES)
    if not isinstance(stored, list) or not stored:
        return everyone
    if len(stored) == 1 and _agree(everyone):
        stored = stored * len(everyone)
    fits = len(stored) == len(everyone) and all(
        _form(old) == _form(new) for old, new in zip(stored, everyone, strict=True)
    )
    return stored if fits else everyone


def _agree(entries: list[dict]) -> bool:
    return all(each == entries[0] for each in entries)


def _form(entry: Any) -> tuple | None:
    """Return the number of seeds and the kinds of the generators of an entry, None if malformed."""
    try:
        kinds = [text.partition(" ")[0] for text in entry["generators"]]
        return len([int(seed) for seed in entry["seeds"]]), kinds
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _set_seed(sampler: Any, seed: int) -> None:
    if sampler.seed == seed:
        return
    try:
        sampler.seed = seed
    except AttributeError:
        print_log(
            f"{type(sampler).__name__}.seed={sampler.seed} cannot be set to {seed}, the seed of the"
            " checkpoint, so the run reads its images in another order",
            "current",
            logging.WARNING,
        )


def _encode(generator: Any) -> str:
    """Return the kind and the state of a generator as text."""
    state = generator_state(generator)
    if isinstance(state, torch.Tensor):
        state = state.numpy().tobytes().hex()
    return f"{_kind(generator)} {json.dumps(state, default=lambda array: array.tolist())}"


def _kind(generator: Any) -> str:
    kind = type(getattr(generator, "bit_generator", generator))
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


def _decode(generator: Any, text: str) -> None:
    try:
        state = json.loads(text.partition(" ")[2])
        if isinstance(generator, torch.Generator):
            state = torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8)
        elif isinstance(state, list):  # of Python's generator
            version, words, gauss = state
            state = version, tuple(words), gauss
        set_generator_state(generator, state)
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as error:
        raise CheckpointError(
            f"--resume: the checkpoint's {STATES} has no valid state of a {_kind(generator)}"
            f" ({error}); resume from another file"
        ) from error
