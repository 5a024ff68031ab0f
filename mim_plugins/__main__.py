"""The console script as a module: ``python -m mim_plugins``."""

from .cli.main import main

if __name__ == "__main__":
    main()
