"""Writing frames as GIF, WebP, APNG, numbered PNG or MP4, each file atomically."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nowcast.errors import NowcastError
from nowcast.visualization.canvas import PALETTE

Frames = Sequence[NDArray[np.uint8]]
"""Palette indices, each (height, width)."""


def write_film(frames: Frames, durations: Sequence[int], path: str | Path) -> Path:
    """Write frames (shown for `durations` milliseconds each) in the format of the suffix; returns what was written.

    `.png` writes a series beside the path, F_000.png, F_001.png, … (an earlier, longer series of that name loses its
    surplus frames) and returns the first of them.
    """
    target = Path(path)
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise NowcastError(f"{target} ends in {target.suffix!r}, expected one of {', '.join(_WRITERS)}")
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".film-", dir=folder) as scratch:
            return writer(frames, durations, target, Path(scratch))
    except OSError as error:
        raise NowcastError(f"{target} cannot be written: {error.strerror or error}") from error


def _images(frames: Frames) -> list[Image.Image]:
    images = []
    for frame in frames:
        image = Image.fromarray(frame)
        image.putpalette(PALETTE.tobytes())
        images.append(image)
    return images


def _gif(frames: Frames, durations: Sequence[int], target: Path, scratch: Path) -> Path:
    # Pixels that stay as they were are sent as "transparent", one index beyond the palette: long runs, small files.
    unchanged = len(PALETTE)
    changes = [frames[0]]
    for before, after in zip(frames, frames[1:], strict=False):
        changes.append(np.where(after == before, np.uint8(unchanged), after))
    images = _images(changes)
    options = {"transparency": unchanged, "disposal": 1, "loop": 0, "optimize": False}
    temporary = scratch / target.name
    images[0].save(temporary, "GIF", save_all=True, append_images=images[1:], duration=list(durations), **options)
    return temporary.replace(target)


def _webp(frames: Frames, durations: Sequence[int], target: Path, scratch: Path) -> Path:
    images = [Image.fromarray(PALETTE[frame]) for frame in frames]
    temporary = scratch / target.name
    images[0].save(
        temporary,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=list(durations),
        loop=0,
        lossless=True,
        method=3,
    )
    return temporary.replace(target)


def _apng(frames: Frames, durations: Sequence[int], target: Path, scratch: Path) -> Path:
    images = _images(frames)
    temporary = scratch / target.name
    images[0].save(temporary, "PNG", save_all=True, append_images=images[1:], duration=list(durations), loop=0)
    return temporary.replace(target)


def _png_series(frames: Frames, durations: Sequence[int], target: Path, scratch: Path) -> Path:
    digits = max(3, len(str(len(frames) - 1)))
    names = [f"{target.stem}_{index:0{digits}d}.png" for index in range(len(frames))]
    for image, name in zip(_images(frames), names, strict=True):
        image.save(scratch / name, "PNG")
    for name in names:
        (scratch / name).replace(target.parent / name)
    series = re.compile(re.escape(target.stem) + r"_\d{3,}\.png")
    for other in target.parent.iterdir():
        if series.fullmatch(other.name) and other.name not in names:
            other.unlink()
    return target.parent / names[0]


def _mp4(frames: Frames, durations: Sequence[int], target: Path, scratch: Path) -> Path:
    temporary = scratch / target.name
    # Video has one frame rate: that of the shortest frame, and pauses repeat theirs.
    tick = min(durations)
    repeats = [max(1, round(duration / tick)) for duration in durations]
    size = (frames[0].shape[1], frames[0].shape[0])
    encode: Callable[[Frames, list[int], float, tuple[int, int], Path], bool]
    for encode in (_ffmpeg, _opencv):
        if encode(frames, repeats, 1000 / tick, size, temporary):
            return temporary.replace(target)
    raise NowcastError(
        f"{target} needs an H.264 or MPEG-4 encoder and neither ffmpeg nor OpenCV has one here; "
        "write .gif, .webp, .apng or .png instead"
    )


def _ffmpeg(frames: Frames, repeats: list[int], rate: float, size: tuple[int, int], path: Path) -> bool:
    program = shutil.which("ffmpeg")
    if program is None:
        return False
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{rate}", "-i", "-"]
    coding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "16", "-movflags", "+faststart"]
    command = [program, "-v", "error", "-y", *source, *coding, os.fspath(path)]
    raw = b"".join(PALETTE[f].tobytes() * n for f, n in zip(frames, repeats, strict=True))
    result = subprocess.run(command, input=raw, capture_output=True, check=False)
    return result.returncode == 0 and path.exists() and path.stat().st_size > 0


def _opencv(frames: Frames, repeats: list[int], rate: float, size: tuple[int, int], path: Path) -> bool:
    video = cv2.VideoWriter(os.fspath(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    if not video.isOpened():
        return False
    for frame, count in zip(frames, repeats, strict=True):
        for _ in range(count):
            video.write(np.ascontiguousarray(PALETTE[frame][..., ::-1]))
    video.release()
    return path.exists() and path.stat().st_size > 0


_WRITERS: dict[str, Callable[[Frames, Sequence[int], Path, Path], Path]] = {
    ".gif": _gif,
    ".webp": _webp,
    ".apng": _apng,
    ".png": _png_series,
    ".mp4": _mp4,
}
