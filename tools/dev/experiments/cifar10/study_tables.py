"""Tables of single runs of the longer comparison."""

from collections.abc import Iterator
from statistics import mean

from report import heading, markdown
from study_plan import DECIDING_SHARE, FAMILIES, SEEDS, TITLES, Job, Start
from study_statistics import Values, lengths

_RATE = "_lr"


def curves(values: Values) -> str:
    """Format the accuracies of frozen encoders during pre-training, as means of the seeds."""
    rows = [["start", "seeds", "after epochs", heading("knn"), heading("probe")]]
    for name, epochs in _starts(values):
        jobs = (Job("pretrain", Start(name, seed, epochs)).label for seed in SEEDS)
        found = [values[job]["curve"] for job in jobs if job in values]
        steps = sorted(found[0], key=int)
        cells = [
            ", ".join(f"{mean(curve[step][kind] for curve in found):.1f}" for step in steps)
            for kind in ("knn", "probe")
        ]
        rows.append([TITLES[name], str(len(found)), ", ".join(steps), *cells])
    return markdown(rows)


def searches(values: Values, limit: int) -> str:
    """Format the searches for learning rates, with a star where ``limit`` epochs ended the run."""
    rows = [["start", "learning rate", "validation, %", "test, %", "epochs"]]
    for name, epochs in _starts(values):
        prefix = Job("finetune", Start(name, 0, epochs), DECIDING_SHARE).label + _RATE
        found = sorted((each["rate"], each) for job, each in values.items() if prefix in job)
        for rate, each in found:
            accuracies = (f"{each[kind]:.1f}" for kind in ("validation", "accuracy"))
            last = each["last_epoch"]
            rows.append([TITLES[name], f"{rate:g}", *accuracies, f"{last}{'*' * (last >= limit)}"])
    return markdown(rows)


def _starts(values: Values) -> Iterator[tuple[str, int]]:
    """Yield name and length of the starts whose pre-training has ended."""
    for family in FAMILIES.values():
        for name in family:
            yield from ((name, epochs) for epochs in lengths(values, name))
