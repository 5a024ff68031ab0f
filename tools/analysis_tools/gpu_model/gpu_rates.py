"""Assumed rates of GPUs, for modeled times."""

from dataclasses import dataclass

from .gpu_trace import Operation


@dataclass(frozen=True)
class GpuRates:
    """Rates that the operations of a training step reach on a GPU.

    The time of an operation is the longest of three: its bytes, its floating-point operations and
    its launches.
    """

    bandwidth: float
    """Bytes per second of the memory."""
    matmul: float
    """FLOP/s of matrix products and convolutions in float16 and bfloat16."""
    matmul_float32: float
    """FLOP/s of matrix products in float32, without TF32."""
    attention_forward: float
    """FLOP/s of the fused attention kernels."""
    attention_backward: float
    """FLOP/s of their backward pass."""
    peak: float
    """FLOP/s of the data sheet, for the MFU."""
    launch: float = 2e-6
    """Seconds that a launch takes on the GPU at least."""

    def seconds(self, operation: Operation) -> float:
        """Return the modeled time of an operation."""
        rate = self.matmul_float32 if operation.is_float32 else self.matmul
        if "attention" in operation.name:
            backward = operation.name.endswith("backward")
            rate = self.attention_backward if backward else self.attention_forward
        return max(
            operation.bytes / self.bandwidth,
            (operation.flops + operation.repeated_flops) / rate,
            operation.launches * self.launch,
        )


# 85 % of the bandwidth and 65 to 80 % of the arithmetic of the data sheets
GPUS = dict(
    A100=GpuRates(1.73e12, 230e12, 14e12, 90e12, 55e12, 312e12),
    H100=GpuRates(2.85e12, 650e12, 45e12, 150e12, 90e12, 989e12),
    H200=GpuRates(4.08e12, 650e12, 45e12, 150e12, 90e12, 989e12),
)
