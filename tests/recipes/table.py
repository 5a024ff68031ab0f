"""The tables of all recipes; run as a script, it prints the table of docs/model_zoo.md."""

import classification
import dense
import pretraining
from rows import DETAILS, verdict

# settings whose key is not self-explanatory
WORDS = dict(
    batch="global batch",
    clip_grad="gradient clipping",
    cls_token="[CLS] token",
    decayed="which parameters have weight decay",
    features="pooled features of the probe",
    fusion="fusion of the convolution stages",
    head_norms="norm layers of the heads",
    length="number of epochs",
    level_norms="norms of the feature maps",
    relative_positions="relative position biases",
    schedule="learning rate schedule",
    teachers="teacher",
    warmup_iterations="length of the warm-up",
)
RECIPES = {**pretraining.RECIPES, **classification.RECIPES, **dense.RECIPES}


def model_zoo():
    """Table in Markdown: whose settings each recipe has, and which of them are our choice."""
    lines = ["| recipe | settings | our choice |", "| --- | --- | --- |"]
    for name, rows in sorted(RECIPES.items()):
        if name.startswith("quickstart/"):
            continue
        whose = verdict(rows)
        chosen = [key for key, row in rows.items() if row.choice and key not in DETAILS]
        stated = "all" if whose == "ours" else ", ".join(WORDS.get(key, key) for key in chosen)
        lines.append(f"| `{name}` | {whose} | {stated or '-'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(model_zoo(), end="")
