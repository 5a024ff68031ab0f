"""Progress of a command on standard error: a bar in a terminal, else a few lines."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

_LINES = 10


@contextmanager
def show_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of the numbers of finished steps and of all steps, which shows them."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(title)
        return
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Lines:
    """Function that prints a line after each tenth."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.printed = 0

    def __call__(self, done: int, total: int) -> None:
        if done * _LINES // total > self.printed:
            self.printed = done * _LINES // total
            print(f"{self.title}: {done} of {total}", file=sys.stderr, flush=True)
