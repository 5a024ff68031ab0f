"""Print a config with everything that it inherits and with all --cfg-options applied."""

import argparse

from mim_plugins.cli import add_config_options
from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c


@one_line_on_ctrl_c()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_600e")
    add_config_options(parser)
    args = parser.parse_args(command_words())
    from mim_plugins.apis import override_config, read_config  # these import PyTorch
    from mim_plugins.cli import user_errors
    from mim_plugins.config import config_text

    with user_errors():
        cfg = read_config(args.config)
        override_config(cfg, args.cfg_options)
        print(config_text(cfg), end="")


if __name__ == "__main__":
    main()
