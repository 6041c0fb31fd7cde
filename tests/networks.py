"""Small networks with random weights, for tests of what holds for any weights."""

from __future__ import annotations

import timm
import torch
from torch import nn

from fer_demo.classifier import EvidenceNetwork
from fer_demo.types import FERPLUS7_HEAD, NUM_LOGITS


def random_network(architecture: str, seed: int = 0) -> nn.Module:
    """A timm network as our weights folders hold it: one grey channel, 15 logits, stride 16."""
    torch.manual_seed(seed)
    network = timm.create_model(
        architecture, in_chans=1, num_classes=NUM_LOGITS, output_stride=16
    ).eval()
    # At initialisation normalisation does nothing and residual branches end in zero.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    nn.init.normal_(network.get_classifier().weight, 0, 0.1)
    nn.init.normal_(network.get_classifier().bias, 0, 0.1)
    return network


def evidence_network(architecture: str, size: int, seed: int = 0) -> EvidenceNetwork:
    """The same with the head that the app shows applied before the pooling."""
    network = random_network(architecture, seed)
    return EvidenceNetwork(network, FERPLUS7_HEAD, size, 0.5, 0.5).eval()
