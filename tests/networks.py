"""Small networks with random weights, for what holds for any weights; and those that ship."""

from __future__ import annotations

from functools import cache

import timm
import torch
from torch import nn

from fer_demo.classifier import Classifier, EvidenceNetwork, Predictor, load_classifier
from fer_demo.predictors import load_predictor
from fer_demo.settings import Settings
from fer_demo.types import FERPLUS7_HEAD, NUM_LOGITS
from fer_demo.weights import open_weights

BUNDLED = Settings(hub_repos=())


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


def bundled_predictor(name: str) -> Predictor:
    """One of `predictor_names(BUNDLED)`; loaded once for all tests, so not to be changed."""
    return load_predictor(name, BUNDLED, _bundled_classifier)


@cache
def _bundled_classifier(name: str) -> Classifier:
    return load_classifier(open_weights(name, BUNDLED), BUNDLED)
