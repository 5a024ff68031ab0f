"""Jobs of the longer comparison, in the order in which they run; see docs/results_cifar10.md."""

from dataclasses import dataclass, field
from typing import Any

RATES = (5e-4, 1e-3, 2e-3, 4e-3)  # learning rates of fine-tuning that are tried for each start
SHARES = (1, 10, 100)  # percent of the labels
DECIDING_SHARE = 10
FAMILIES = dict(
    swin=("random_swin", "mixmae", "simmim"),
    vit=("random_vit", "mae", "mrmae_self", "mrmae_imagenet", "mrmae_labels"),
)
FEWER_SEEDS = dict(mrmae_imagenet=(0, 1), mrmae_labels=(0, 1))  # the others: SEEDS
SEEDS = (0, 1, 2)
SEEDS_OF_SHARES = {1: SEEDS, DECIDING_SHARE: SEEDS, 100: (0, 1)}
RIVALS = (("mixmae", "simmim"), ("mrmae_self", "mae"))  # comparisons that decide
CONFIGS = dict(
    random_swin="mixmae",
    random_vit="mae",
    mrmae_self="mrmae",
    mrmae_imagenet="mrmae",
    mrmae_labels="mrmae",
)
TOKENS = 64  # of an image
MASK_TOKENS = dict(simmim=0.6)  # share of the encoder's tokens that are mask tokens
VISIBLE = dict(mixmae=1.0, simmim=0.4, mae=0.25, mrmae=0.25)  # tokens of images per TOKENS
ABLATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "single_reconstruction": ("mixmae", {"model.type": "mim_plugins.SingleReconstruction"}),
    "unmasked_attention": ("mixmae", {"model.backbone.type": "mim_plugins.UnmaskedAttentionSwin"}),
    "ratio25": ("mixmae", {"model.data_preprocessor.batch_transform.mask_ratio": 0.25}),
    "ratio75": ("mixmae", {"model.data_preprocessor.batch_transform.mask_ratio": 0.75}),
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
    """Epochs of one more pre-training of each rival, whose frozen encoder is evaluated."""
    most_epochs: dict[int, int]
    """Most epochs of fine-tuning by share of the labels."""
    patience: int
    """Validations without a better accuracy after which fine-tuning ends."""
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
        most_epochs={1: 400, 10: 80, 100: 40},
        patience=5,
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
        most_epochs={1: 10, 10: 2, 100: 1},
        patience=2,
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
    """One job."""

    kind: str
    """One of ``calibrate``, ``cost``, ``teachers``, ``pretrain``, ``finetune``, ``transfer``, and
    ``detect``."""
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
        epochs = self.length.epochs
        names = [name for family in FAMILIES.values() for name in family]
        jobs = [Job("calibrate"), Job("teachers"), Job("cost")]
        for seed in SEEDS:
            for name in names:
                if seed in FEWER_SEEDS.get(name, SEEDS):
                    jobs += self._start(Start(name, seed, 0 if "random" in name else epochs))
            for name, length in self.equal_time.items():
                if length != epochs:
                    start = Start(name, seed, length)
                    deciding = Job("finetune", start, DECIDING_SHARE)
                    jobs += [Job("pretrain", start), deciding, Job("transfer", start)]
        for seed in (0, 1):
            for variant, (name, _) in ABLATIONS.items():
                start = Start(name, seed, epochs, variant)
                jobs += [Job("pretrain", start), Job("transfer", start)]
        for seed in (0, 1):
            for name in FAMILIES["swin"]:
                start = Start(name, seed, 0 if "random" in name else epochs)
                jobs.append(Job("detect", start))
        jobs += [
            Job("pretrain", Start(name, 0, self.length.longer)) for pair in RIVALS for name in pair
        ]
        return jobs

    def _start(self, start: Start) -> list[Job]:
        jobs = [Job("pretrain", start)]
        if start.seed == 0:
            jobs += [Job("finetune", start, DECIDING_SHARE, rate) for rate in RATES]
        shares = (share for share in SHARES if start.seed in SEEDS_OF_SHARES[share])
        return [*jobs, *(Job("finetune", start, share) for share in shares), Job("transfer", start)]
