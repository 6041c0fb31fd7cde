"""Loss and accuracy of a run, as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw_curves(history: list[dict[str, float | None]], path: Path) -> None:
    """Write a PNG with one point an epoch from the lines of a run's log."""
    epochs = [line["epoch"] for line in history]
    figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    loss.plot(epochs, [line["loss"] for line in history], color="#444444")
    loss.set(xlabel="epoch", ylabel="training loss")
    for head, colour in (("fer2013", "#0072B2"), ("ferplus8", "#D55E00")):
        accuracy.plot(epochs, [line[head] for line in history], label=head, color=colour)
    accuracy.set(xlabel="epoch", ylabel="PublicTest accuracy, %, averaged weights")
    accuracy.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)
