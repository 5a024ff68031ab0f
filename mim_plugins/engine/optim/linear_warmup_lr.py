"""Linear warm-up of the learning rate from zero."""

from typing import Any

from mmengine.optim import LinearLR

from ...errors import CheckpointError, ConfigError
from ...registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class LinearWarmupLR(LinearLR):
    """Linear warm-up as in the code of the MAE, MCMAE and MixMAE authors.

    Step ``t`` of a warm-up of ``T`` steps has the factor ``t / T``: 0 in the first step, 1 in the
    first step after the warm-up. MMEngine's ``LinearLR`` cannot start at 0 and reaches the full
    rate one step earlier. A scheduler that follows begins at the ``end`` of this one and comes
    after it in ``param_scheduler``.

    Args:
        optimizer: optimizer or optimizer wrapper.
        begin: first step of the warm-up.
        end: first step with the full rate; may be a fraction, such as 2.5 epochs.
        **kwargs: further arguments of MMEngine's schedulers (``by_epoch``, ``last_step``,
            ``verbose``).

    Raises:
        ConfigError: the steps are not numbers in ascending order, or a factor is given.
    """

    def __init__(self, optimizer: Any, begin: float = 0, end: float = 0, **kwargs: Any) -> None:
        for name in ("start_factor", "end_factor"):
            if name in kwargs:
                raise ConfigError(
                    f"LinearWarmupLR: {name}={kwargs[name]!r} cannot be set, because the warm-up"
                    f" goes from 0 to the full rate; remove {name}, or use type='LinearLR'"
                )
        if not (_is_number(begin) and _is_number(end) and 0 <= begin <= end):
            raise ConfigError(
                f"LinearWarmupLR: begin={begin!r} and end={end!r} must be numbers with"
                " 0 <= begin <= end"
            )
        # one step more, because the next scheduler starts from the rate that it finds
        super().__init__(optimizer, start_factor=0.0, begin=begin, end=end + 1, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, optimizer: Any, begin: float = 0, end: float = 0, *, epoch_length: int, **kwargs: Any
    ) -> "LinearWarmupLR":
        """Return a scheduler of iterations; fractions of an iteration are kept."""
        kwargs["by_epoch"] = False
        begin, end = (
            _iterations(each, epoch_length) if _is_number(each) else each for each in (begin, end)
        )
        return cls(optimizer, begin, end, **kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the state of a scheduler of this class.

        Raises:
            CheckpointError: the state is that of another scheduler.
        """
        if state_dict.get("start_factor") != 0:
            raise CheckpointError(
                f"LinearWarmupLR: the state with start_factor={state_dict.get('start_factor')} is"
                " that of another scheduler; use the param_scheduler with which it was saved"
            )
        super().load_state_dict(state_dict)

    def _get_value(self) -> list[float]:
        factor = min(self.last_step / self.total_iters, 1.0) if self.total_iters else 1.0
        return [value * factor for value in self.base_values]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _iterations(epochs: float, epoch_length: int) -> float:
    """Return the iterations of epochs, an integer unless they are a fraction.

    The product alone would not suffice: 0.29 epochs of 100 iterations are 28.999999999999996.
    """
    product = epochs * epoch_length
    return round(product) if abs(product - round(product)) < 1e-6 else product
