"""MMEngine's runner with a console that fits a screen; its log file holds everything."""

import logging
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner

# what MMEngine and mmpretrain say at every start, and nobody at the console can act on
_FILE_ONLY = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    "Because batch augmentations are enabled",
    "Config:\n",
    "Distributed training is not used, all SyncBatchNorm",
    "Exp name:",
    "Hooks will be executed in the following order",
)


class ConsoleRunner(Runner):
    """Runner that shows environment, config and hooks in the log file only, not on the console.

    So it does with notes of the libraries that a user cannot act on. Nothing else differs.
    """

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """The logger of MMEngine's runner, with a filter on its console."""
        logger = super().build_logger(log_level, log_file, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_for_the_console)
        logger.info(f"Environment, config and hooks: {logger.log_file}")
        return logger


def _is_for_the_console(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not message.startswith(_FILE_ONLY) and "System environment:" not in message[:200]
