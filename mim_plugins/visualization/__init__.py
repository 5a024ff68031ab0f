from .colors import apply_colormap, to_rgb_uint8
from .grid import draw_grid
from .isolated_eval import isolated_eval
from .panels import reconstruction_panels
from .similarity import complementary_masks, mixture_similarity_maps, similarity_maps
from .tensorboard_vis_backend import TensorboardVisBackend
from .wandb_vis_backend import WandbVisBackend

__all__ = [
    "TensorboardVisBackend",
    "WandbVisBackend",
    "apply_colormap",
    "complementary_masks",
    "draw_grid",
    "isolated_eval",
    "mixture_similarity_maps",
    "reconstruction_panels",
    "similarity_maps",
    "to_rgb_uint8",
]
