"""Random streams: which seed each draws from, and the state of the one that modules share."""

import hashlib

import torch


def stream_seed(seed: int, stream: str) -> int:
    """Return the seed of one named random stream of a run, so that no two streams share their draws."""
    return int.from_bytes(hashlib.sha256(f"{stream}:{seed}".encode()).digest()[:6], "big")


def get_random_state(device: torch.device) -> torch.Tensor:
    """Return the state of the generator that modules on ``device`` draw from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(device: torch.device, state: torch.Tensor) -> None:
    """Set the generator that modules on ``device`` draw from to ``state``."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
