"""Random streams: which seed each draws from, and the state of the one that modules share."""

import hashlib

import torch


def stream_seed(seed: int, stream: str) -> int:
    """Return the seed of one named random stream of a run, so that no two streams share their draws."""
    return int.from_bytes(hashlib.sha256(f"{stream}:{seed}".encode()).digest()[:6], "big")


def get_random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of torch's global generators: the CPU's, and that of ``device`` where it is another."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(device: torch.device, state: dict[str, torch.Tensor]) -> None:
    """Set torch's global generators to a state from :func:`get_random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
