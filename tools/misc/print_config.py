"""Print a config with everything that it inherits and with all --cfg-options applied."""

import argparse

from mim_plugins.apis import override_config, read_config
from mim_plugins.cli import add_config_options, user_errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_600e")
    add_config_options(parser)
    args = parser.parse_args()
    with user_errors():
        cfg = read_config(args.config)
        override_config(cfg, args.cfg_options)
        print(cfg.pretty_text)


if __name__ == "__main__":
    main()
