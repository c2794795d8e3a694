"""Weights on disk: plain data and tensors only, so that reading a stranger's checkpoint can run no code."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nowcast.atomic_files import atomic_file
from nowcast.errors import NowcastError
from nowcast.models.networks import build_model
from nowcast.run import Run

FORMAT = 1


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically; NowcastError when the folder cannot be written."""
    with atomic_file(path) as temporary:
        torch.save({"format": FORMAT, **content}, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU; NowcastError when the file is damaged or of another format."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise NowcastError(f"{path} does not exist; train the run first") from None
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NowcastError(f"{path} is not a readable checkpoint ({reason[:120]}); restore it or train again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise NowcastError(f"{path} has checkpoint format {found}, expected {FORMAT}; use the version that wrote it")
    return content


@dataclass(frozen=True)
class LoadedModel:
    """A trained network and what its checkpoint says about it.

    Attributes:
        network: in eval mode on the CPU, with the statistics of its MEmeL modules.
        checkpoint: "best" or "last", whichever was read.
        step: optimizer steps behind it.
        frame_interval_seconds: of the archive that it learned from; None where the checkpoint does not say.
    """

    network: nn.Module
    checkpoint: str
    step: int
    frame_interval_seconds: int | None


def open_model(run: Run | str | Path, checkpoint: str = "best") -> LoadedModel:
    """The trained network of a run with the facts of its checkpoint, which is read once.

    Args:
        run: a run or its folder.
        checkpoint: "best" (lowest validation loss; "last" where nothing was validated) or "last".
    """
    run = run if isinstance(run, Run) else Run.open(run)
    path = run.checkpoint(checkpoint)
    network = build_model(run.experiment.model)
    content = load_checkpoint(path)
    try:
        network.load_state_dict(content["model"])
        step = int(content["step"])
    except (RuntimeError, KeyError) as error:
        raise NowcastError(f"{path} does not fit {run.path / 'config.yaml'} ({_first_words(error)})") from None
    return LoadedModel(network.eval(), path.stem, step, content.get("frame_interval_seconds"))


def load_model(run: Run | str | Path, checkpoint: str = "best") -> nn.Module:
    """The network alone of `open_model`."""
    return open_model(run, checkpoint).network


def start_from(model: nn.Module, path: Path) -> None:
    """Give `model` the weights of another run's checkpoint; MEmeL statistics on either side are left out.

    This is how a network pretrained with MEmeL is fine-tuned plainly, and a plain one with MEmeL.
    """
    weights: dict[str, Tensor] = {k: v for k, v in load_checkpoint(path)["model"].items() if not _is_memel(k)}
    try:
        found = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise NowcastError(
            f"{path} holds a network of another shape; give this run the same model.network and "
            f"model.levels ({_first_words(error)})"
        ) from None
    missing = [key for key in found.missing_keys if not _is_memel(key)]
    if missing or found.unexpected_keys:
        odd = (missing + found.unexpected_keys)[0]
        raise NowcastError(
            f"{path} holds another network ({odd} differs); give this run the same model.network and model.levels"
        )


def _is_memel(key: str) -> bool:
    return ".memel." in key


def _first_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[min(1, len(lines) - 1)][:160] if lines else type(error).__name__
