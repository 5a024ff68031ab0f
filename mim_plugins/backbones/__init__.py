from .hierarchical_backbone import HierarchicalBackbone
from .masked_pvt import MaskedPVT
from .masked_swin import MaskedSwin

__all__ = ["HierarchicalBackbone", "MaskedPVT", "MaskedSwin"]
