"""Linear warm-up of the learning rate from zero."""

from typing import Any

from mmengine.optim import LinearLR

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
        end: first step with the full rate.
        **kwargs: further arguments of MMEngine's schedulers (``by_epoch``, ``last_step``,
            ``verbose``).
    """

    def __init__(self, optimizer: Any, begin: int = 0, end: int = 0, **kwargs: Any) -> None:
        # one step more, because the next scheduler starts from the rate that it finds
        super().__init__(optimizer, start_factor=0.0, begin=begin, end=end + 1, **kwargs)

    def _get_value(self) -> list[float]:
        factor = self.last_step / self.total_iters if self.total_iters else 1.0
        return [value * factor for value in self.base_values]
