"""The option ``--cfg-options`` of the command-line tools."""

import argparse
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction


class ConfigOptions(DictAction):
    """MMEngine's action for ``key=value`` that reports any other form as a usage error."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the options in the namespace as a dict."""
        for value in values or ():
            if not value.partition("=")[1]:
                parser.error(f"{option_string}: '{value}' is not key=value, such as model.head.a=1")
        try:
            super().__call__(parser, namespace, values, option_string)
        except RecursionError:  # raised by MMEngine for brackets in a dict
            parser.error(
                f"{option_string}: only lists and tuples can be nested here; write a dict that"
                " contains them in a config file with _base_"
            )


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options`` to the parser of a tool."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        default={},
        metavar="KEY=VALUE",
        help="override entries of the config; lists as key='[a,b]'",
    )
