"""The networks that earlier projects started from, to show what each step since then buys.

Importing this module makes timm know them by name.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from torch import Tensor, nn

__all__ = ["plain_cnn"]


class PlainCNN(nn.Module):
    """Three times convolution and pooling, then flatten and two dense layers, at 48 px."""

    def __init__(self, in_chans: int, num_classes: int, drop_rate: float):
        super().__init__()
        layers: list[nn.Module] = []
        for width_in, width in ((in_chans, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(128 * 6 * 6, 256), nn.ReLU())
        self.drop = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(256, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 48, 48) to (B, num_classes)."""
        return self.classifier(self.drop(self.dense(self.features(x))))

    def get_classifier(self) -> nn.Module:
        """The last layer, by the name that timm's networks have for it."""
        return self.classifier


@register_model
def plain_cnn(
    pretrained: bool = False,
    in_chans: int = 1,
    num_classes: int = 7,
    drop_rate: float = 0.0,
    **_: Any,  # stride and pooling, which it has not
) -> PlainCNN:
    """As `timm.create_model("plain_cnn")` makes it; there are no pretrained weights."""
    return PlainCNN(in_chans, num_classes, drop_rate)
