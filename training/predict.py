"""Logits of a network over a set of crops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fer_demo.crops import network_input


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
