"""Names of the console script and of its subcommands."""

PROGRAM = "mim-plugins"
COMMANDS = (
    "pretrain",
    "resume",
    "status",
    "finetune",
    "reconstruct",
    "embed",
    "knn",
    "predict",
    "export",
    "statistics",
    "info",
    "doctor",
)
