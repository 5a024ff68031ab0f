"""The option ``--cfg-options`` of the command-line tools."""

import argparse
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction


class ConfigOptions(DictAction):
    """MMEngine's action for ``key=value``; anything else ends with the tool's usage."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Put the options into the namespace as a dict."""
        for value in values or ():
            if not value.partition("=")[1]:
                parser.error(f"{option_string}: '{value}' is not key=value, such as model.head.a=1")
        try:
            super().__call__(parser, namespace, values, option_string)
        except RecursionError:  # of MMEngine, on brackets in a dict
            parser.error(
                f"{option_string}: only lists and tuples nest here; a dict of them goes into"
                " a config file with _base_"
            )


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Let a tool accept ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        default={},
        metavar="KEY=VALUE",
        help="override entries of the config; lists as key='[a,b]'",
    )
