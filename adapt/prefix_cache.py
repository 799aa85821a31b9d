"""What the frozen video blocks made of each video, kept on disk, for runs without augmentation."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from adapt.adapted import AdaptedModel, Prefix
from adapt.checkpoint import backbone_hash
from adapt.weight_files import read_weights, write_safetensors
from describe.errors import UserError

logger = logging.getLogger(__name__)


class PrefixCache:
    """A folder of prefixes in float32, one file a video.

    A prefix is large: (1 + P * T) * D * 4 bytes, 4.8 MB a video for ViCLIP-B/16, and twice that
    with `keep_block_output`. The folder is specific to the backbone and the first adapted block;
    what was computed under autocast is kept apart. It never has to be cleaned for correctness.

    Args:
        folder: Made when missing.
        model: Whose frozen video blocks are used.
        keep_block_output: Also keep the first adapted block's own output, and save that block.
    """

    def __init__(self, folder: Path, model: AdaptedModel, keep_block_output: bool = False) -> None:
        first = model.config.start_block if "video" in model.config.adapts else "all"
        kept = model.adapter.keeps_blocks_frozen and keep_block_output
        identity = f"{backbone_hash(model.backbone)} {first} {kept}"
        self._folder = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._model = model
        self._keep_block_output = keep_block_output
        if model.config.method == "full":
            raise UserError("a fully trained backbone has no frozen prefix to keep")

    def holds(self, key: str) -> bool:
        """Whether the prefix of a clip is there, whole: then nobody needs its pixels."""
        path = self._path(self._tagged(key))
        try:
            with safe_open(path, framework="pt"):  # reads the header, and compares the size
                return True
        except (OSError, SafetensorError):
            return False

    def fetch(self, keys: Sequence[str], load: Callable[[Sequence[int]], Tensor]) -> Prefix:
        """Return the prefixes of a batch; those that are missing are computed and kept.

        Args:
            keys: One for each clip: the video, and which frames of it and which crop.
            load: Given the positions in `keys` that are missing, their pixels (b, T, 3, H, W).
        """
        device = self._model.backbone.temp.device
        keys = [self._tagged(key) for key in keys]
        found = {index: self._read(key) for index, key in enumerate(keys)}
        missing = [index for index, state in found.items() if state is None]
        if missing:
            videos = load(missing).to(device)
            prefix = self._model.video_prefix(videos, keep_block_output=self._keep_block_output)
            for index, state in zip(missing, _split(prefix, len(missing)), strict=True):
                write_safetensors(self._path(keys[index]), state, {"key": keys[index]})
                found[index] = state
        states = [state for state in found.values() if state is not None]
        joined = {
            name: torch.cat([state[name].to(device) for state in states]) for name in states[0]
        }
        return Prefix(hidden=joined["hidden"], block_output=joined.get("block_output"))

    def _tagged(self, key: str) -> str:
        """Keep what is computed under autocast apart."""
        kind = self._model.backbone.temp.device.type
        return f"{key} {torch.get_autocast_dtype(kind)}" if torch.is_autocast_enabled(kind) else key

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    def _read(self, key: str) -> dict[str, Tensor] | None:
        path = self._path(key)
        if not path.exists():
            return None
        try:
            return read_weights(path).state
        except UserError as error:
            logger.warning("%s; computed again", error)
            return None


def _split(prefix: Prefix, count: int) -> list[dict[str, Tensor]]:
    rows = len(prefix.hidden) // count  # T with per-frame attention, else 1
    parts = [{"hidden": part} for part in torch.split(prefix.hidden, rows)]
    if prefix.block_output is not None:
        outputs = torch.split(prefix.block_output, rows)
        for part, output in zip(parts, outputs, strict=True):
            part["block_output"] = output
    return parts
