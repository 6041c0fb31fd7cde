"""Logits over a set of crops: of a module, of a weights folder, of several folders together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_demo.crops import network_input
from fer_demo.ensemble import ENSEMBLE, read_joint, together
from fer_demo.types import FER2013_HEAD
from training.data import fingerprint
from training.folder import FolderError, timm_network, weights_sha256


@torch.inference_mode()
def predict_logits(
    model: nn.Module, grey: Tensor, size: int, *, flip: bool = False, batch_size: int = 256
) -> Tensor:
    """Logits in evaluation mode, the model's mode restored afterwards.

    Args:
        model: (B, 1, size, size) to (B, K).
        grey: (N, 48, 48) uint8, on the model's device.
        flip: average the logits with those of the mirrored crop.

    Returns:
        (N, K) float32 on the model's device.
    """
    was_training = model.training
    model.eval()
    try:
        batches = []
        for chunk in grey.split(batch_size):
            x = network_input(chunk, size).contiguous(memory_format=torch.channels_last)
            logits = model(x).float()
            if flip:
                logits = (logits + model(x.flip(-1)).float()) / 2
            batches.append(logits)
        return torch.cat(batches)
    finally:
        model.train(was_training)


class Network:
    """A weights folder's network, which answers the same question once."""

    def __init__(self, folder: Path):
        network, config = timm_network(folder)
        self.folder, self.card = folder, config["fer_demo"]
        self._size = config["pretrained_cfg"]["input_size"][-1]
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network = network.to(self._device)
        self._known: dict[tuple[str, bool], NDArray[np.float32]] = {}

    def logits(self, grey: NDArray[np.uint8], *, flip: bool) -> NDArray[np.float32]:
        """(N, 15) of crops (N, 48, 48) uint8, kept: alone and with others it is asked the same."""
        asked = fingerprint(grey), flip
        if asked not in self._known:
            crops = torch.from_numpy(grey).to(self._device)
            logits = predict_logits(self._network, crops, self._size, flip=flip)
            self._known[asked] = logits.cpu().numpy()
        return self._known[asked]


class Model:
    """One network, or several together, as logits by protocol."""

    def __init__(self, name: str, networks: Sequence[Network]):
        self.name = name
        self.networks = networks
        cards = [network.card for network in networks]
        if len(networks) == 1:
            self.temperature = cards[0]["temperature"]
        else:
            folders = [network.folder for network in networks]
            sha256 = [weights_sha256(folder) for folder in folders]
            limits = [card["uncertain_below"] for card in cards]
            self.temperature = read_joint(sha256, limits, folders[0].resolve().parent).temperature

    def logits(
        self, grey: NDArray[np.uint8], rows: list[slice], *, flip: bool
    ) -> list[NDArray[np.float32]]:
        """One (N, K) array for each of `rows`, of crops (N, 48, 48) uint8."""
        each = [network.logits(grey, flip=flip) for network in self.networks]
        if len(each) == 1:
            return [each[0][:, columns] for columns in rows]
        return [
            together([logits[:, columns] for logits in each], self._joint_temperature(columns))
            for columns in rows
        ]

    def _joint_temperature(self, columns: slice) -> float:
        """That of the log of the mean probability; FER+'s eight classes take that of the seven."""
        return self.temperature["fer2013" if columns == FER2013_HEAD else "ferplus7"]


def models_of(folders: Sequence[Path]) -> list[Model]:
    """Each weights folder's network by the folder's name, and all together where there are several.

    Raises:
        FolderError: two folders have one name.
    """
    networks = {folder.resolve().name: Network(folder) for folder in folders}
    if len(networks) < len(folders):
        raise FolderError("Two --weights folders have one name: their results need two.")
    models = [Model(name, [network]) for name, network in networks.items()]
    if len(networks) > 1:
        models.append(Model(ENSEMBLE, list(networks.values())))
    return models
