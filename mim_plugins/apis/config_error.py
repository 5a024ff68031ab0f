"""The error of a config that cannot be read or built."""


class ConfigError(ValueError):
    """A config file, or a change of one, is wrong; the message names file, cause and remedy."""
