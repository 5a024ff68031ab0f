"""Print the status of a running or ended run: iteration, losses, last checkpoint, restarts."""

import argparse
import json

from mim_plugins.cli import user_errors
from mim_plugins.cli.status import read_status, status_lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work_dir", help="work folder of the run")
    parser.add_argument("--json", action="store_true", help="print the status file")
    args = parser.parse_args()
    with user_errors():
        status = read_status(args.work_dir)
        print(json.dumps(status, indent=1) if args.json else "\n".join(status_lines(status)))


if __name__ == "__main__":
    main()
