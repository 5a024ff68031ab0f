from .colours import heat_map, natural_colours
from .grid import draw_grid
from .panels import reconstruction_panels
from .similarity import complementary_masks, mixture_similarity_maps, similarity_maps
from .undisturbed import undisturbed

__all__ = [
    "complementary_masks",
    "draw_grid",
    "heat_map",
    "mixture_similarity_maps",
    "natural_colours",
    "reconstruction_panels",
    "similarity_maps",
    "undisturbed",
]
