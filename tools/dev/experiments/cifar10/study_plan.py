"""Jobs of the longer comparison, in the order in which they run; see docs/results_cifar10.md."""

from dataclasses import dataclass, field
from typing import Any

from titles import NAMES

RATES = (5e-4, 1e-3, 2e-3)  # learning rates of fine-tuning, extended while the best is an edge
RATE_LIMITS = (1e-4, 1e-2)
SHARES = (1, 10, 100)  # percent of the labels
DECIDING_SHARE = 10
SEEDS = (0, 1, 2)
TWO_SEEDS = (0, 1)
FAMILIES = dict(
    swin=("random_swin", "mixmae", "simmim"),
    vit=("random_vit", "mae", "mrmae_self", "mrmae_imagenet", "mrmae_labels"),
)
TITLES = NAMES | dict(
    mrmae_self="MR-MAE, teacher trained here",
    mrmae_imagenet="MR-MAE, teacher of ImageNet",
    mrmae_labels="MR-MAE, teacher with labels",
    swin="Swin",
    vit="ViT",
)
RIVALS = (("mixmae", "simmim"), ("mrmae_self", "mae"))  # comparisons that decide
TEACHERS = ("mrmae_imagenet", "mrmae_labels")  # their starts describe and do not decide
DECIDING = tuple(name for names in FAMILIES.values() for name in names if name not in TEACHERS)
PAIRS = (  # compared by the report
    *RIVALS,
    ("mixmae", "random_swin"),
    ("simmim", "random_swin"),
    ("mae", "random_vit"),
    ("mrmae_self", "random_vit"),
    ("mrmae_imagenet", "mae"),
    ("mrmae_labels", "mae"),
    ("mrmae_self", "mrmae_labels"),
    ("mrmae_imagenet", "mrmae_labels"),
)
CONFIGS = dict(
    random_swin="mixmae",
    random_vit="mae",
    mrmae_self="mrmae",
    mrmae_imagenet="mrmae",
    mrmae_labels="mrmae",
)
TOKENS = 64  # of an image
MASK_TOKENS = dict(simmim=0.625)  # share of the encoder's tokens that are mask tokens
VISIBLE = dict(mixmae=1.0, simmim=0.375, mae=0.25, mrmae=0.25)  # tokens of images per TOKENS
ABLATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "single_reconstruction": ("mixmae", {"model.type": "mim_plugins.SingleReconstruction"}),
    "unmasked_attention": ("mixmae", {"model.backbone.type": "mim_plugins.UnmaskedAttentionSwin"}),
    # a ratio of 0.75 is the same as 0.25: both images of a mixture are reconstructed
    "ratio25": ("mixmae", {"model.data_preprocessor.batch_transform.mask_ratio": 0.25}),
    "ratio375": ("mixmae", {"model.data_preprocessor.batch_transform.mask_ratio": 0.375}),
    "ratio50": ("mrmae_self", {"model.mask_ratio": 0.5}),
    "mimic_masked": ("mrmae_self", {"model.type": "mim_plugins.DecoderMimic"}),
    "mimic_all": (
        "mrmae_self",
        {"model.type": "mim_plugins.DecoderMimic", "model.on_all": True},
    ),
    "mimic_only": ("mrmae_self", {"model.reconstruction_weight": 0.0}),
}


@dataclass(frozen=True)
class Length:
    """Amount of data and training."""

    images: int
    """Pre-training images; no labels are used."""
    labeled: int
    """Labeled images, from the start of the shuffled training split; the next ones validate."""
    validation: int
    test: int
    epochs: int
    """Epochs of pre-training."""
    longer: int
    """Epochs of one more pre-training of each encoder on the Swin."""
    warm_up: dict[int, int]
    """Epochs of warm-up of fine-tuning by share of the labels."""
    most_epochs: dict[int, int]
    """Most epochs of fine-tuning by share of the labels."""
    validation_interval: dict[int, int]
    """Epochs between two validations of fine-tuning by share of the labels."""
    patience: dict[int, int]
    """Validations without a better accuracy after which the learning rate falls to a tenth;
    fine-tuning ends after twice as many."""
    fixed_epochs: int
    """Epochs of the fine-tunings whose length does not depend on validation."""
    teacher: dict[str, int]
    detection: int
    """Iterations of a detector, with two images each."""


LENGTHS = dict(
    long=Length(
        images=50_000,
        labeled=45_000,
        validation=5_000,
        test=10_000,
        epochs=20,
        longer=60,
        warm_up={1: 60, 10: 12, 100: 3},
        most_epochs={1: 1200, 10: 240, 100: 60},
        validation_interval={1: 15, 10: 3, 100: 1},
        patience={1: 6, 10: 6, 100: 3},
        fixed_epochs=120,
        teacher=dict(images=45_000, epochs=3),
        detection=800,
    ),
    smoke=Length(
        images=256,
        labeled=1_000,
        validation=100,
        test=100,
        epochs=2,
        longer=4,
        warm_up={1: 1, 10: 1, 100: 1},
        most_epochs={1: 10, 10: 2, 100: 1},
        validation_interval={1: 1, 10: 1, 100: 1},
        patience={1: 2, 10: 2, 100: 2},
        fixed_epochs=2,
        teacher=dict(images=256, epochs=1),
        detection=10,
    ),
)


@dataclass(frozen=True)
class Start:
    """Encoder from which fine-tuning starts."""

    name: str
    """Entry of :data:`FAMILIES`."""
    seed: int
    epochs: int = 0
    """Epochs of pre-training."""
    variant: str = ""
    """Entry of :data:`ABLATIONS`."""

    @property
    def label(self) -> str:
        """Name of the jobs."""
        length = f"{self.epochs}e" if self.epochs else ""
        return "_".join(filter(None, (self.name, self.variant, length, f"seed{self.seed}")))


@dataclass(frozen=True)
class Job:
    """Unit of work with a result file."""

    kind: str
    """One of ``calibrate``, ``cost``, ``teachers``, ``teacher_quality``, ``pretrain``,
    ``finetune``, ``cosine`` (fine-tuning of fixed length), ``transfer``, and ``detect``."""
    start: Start | None = None
    share: int = 0
    rate: float = 0.0
    """Learning rate of fine-tuning; 0 is the best of the search."""

    @property
    def label(self) -> str:
        """Name of the result file."""
        parts = [self.kind, self.start.label if self.start else ""]
        parts += [
            f"{self.share}percent" if self.share else "",
            f"lr{self.rate:g}" * bool(self.rate),
        ]
        return "_".join(filter(None, parts))


@dataclass
class Plan:
    """Jobs in order.

    Args:
        length: entry of :data:`LENGTHS`.
        equal_time: epochs at equal time by method, once ``calibrate`` has run.
    """

    length: Length
    equal_time: dict[str, int] = field(default_factory=dict)

    def jobs(self) -> list[Job]:
        """Return all jobs; those that depend on ``calibrate`` are missing before it has run."""
        jobs = [Job("calibrate"), Job("teachers"), Job("cost")]
        for seed in SEEDS:
            for name in DECIDING:
                jobs += self._start(self._normal(name, seed), (1, DECIDING_SHARE))
            for name, epochs in self.equal_time.items():
                jobs += self._start(Start(name, seed, epochs), (DECIDING_SHARE,))
            if seed in TWO_SEEDS:
                jobs += [Job("detect", self._normal(name, seed)) for name in FAMILIES["swin"]]
        for name in FAMILIES["swin"][1:]:
            jobs += self._start(Start(name, 0, self.length.longer), (DECIDING_SHARE,))
        for seed in TWO_SEEDS:
            jobs += [Job("finetune", self._normal(name, seed), 100) for name in DECIDING]
        for seed in TWO_SEEDS:
            for name in TEACHERS:
                jobs += self._start(self._normal(name, seed), SHARES if seed == 0 else SHARES[:2])
        jobs.append(Job("teacher_quality"))
        for seed in TWO_SEEDS:
            for variant, (name, _) in ABLATIONS.items():
                start = Start(name, seed, self.length.epochs, variant)
                jobs += [Job("pretrain", start), Job("transfer", start)]
        return jobs

    def _normal(self, name: str, seed: int) -> Start:
        return Start(name, seed, 0 if name.startswith("random") else self.length.epochs)

    def _start(self, start: Start, shares: tuple[int, ...]) -> list[Job]:
        jobs = [Job("pretrain", start), *(Job("finetune", start, share) for share in shares)]
        if any(start.name in pair for pair in RIVALS) and start.epochs != self.length.longer:
            jobs.append(Job("cosine", start, DECIDING_SHARE))
        return [*jobs, Job("transfer", start)]
