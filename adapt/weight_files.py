"""Reading weights from disk or the Hugging Face hub: data only, and every fault in one line."""

import json
import os
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapt.files import write_atomically
from describe.errors import UserError

WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")
# What torch raises, besides its own error, on bytes that only look like a checkpoint.
_DAMAGE = (
    RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
    struct.error,
)  # fmt: skip

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightFile:
    """Tensors by name, and what stood beside them."""

    path: Path
    state: dict[str, Tensor]
    metadata: Mapping[str, str]
    """The header of a safetensors file; empty for others."""

    config: Mapping[str, Any] | None
    """`config.json` of the same folder."""


def read_weights(source: str | Path) -> WeightFile:
    """Read a file, a folder with one, or a model of the hub by name.

    Raises:
        UserError: Nothing is there, or it cannot be read as plain tensors.
    """
    path = find_weights(source)
    if not os.access(path, os.R_OK):
        raise UserError(f"cannot read {path}; check its permissions")
    if path.suffix == ".safetensors" or _begins_like_safetensors(path):
        state, metadata = _read_safetensors(path)
    else:
        state, metadata = _read_pickle(path), {}
    return WeightFile(path=path, state=state, metadata=metadata, config=_read_config(path))


def find_weights(source: str | Path) -> Path:
    """Return the weight file that `source` names.

    Raises:
        UserError: Nothing is there.
    """
    path = Path(source)
    try:
        if path.is_file():
            return path
        if path.is_dir():
            return _find_in_folder(path)
    except (OSError, ValueError) as error:  # a name too long, a NUL, a folder not to be read
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot read {str(source)[:200]!r}: {reason}") from error
    # "owner/name" and nothing like a path: a model of the hub.
    if isinstance(source, str) and source.count("/") == 1 and source[0] not in "./~":
        if not source.endswith(SUFFIXES):
            return _find_on_hub(source)
    raise UserError(f"no weights at {source}; give a file, a folder, or a hub name such as "
                    "OpenGVLab/ViCLIP-B-16-hf")  # fmt: skip


def _find_in_folder(folder: Path) -> Path:
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(f"{folder} must hold one weight file; found: {names}")
    return found[0]


def _find_on_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    problem = "the hub's model has no " + " or ".join(WEIGHT_NAMES)
    is_away = False
    for file_name in WEIGHT_NAMES:
        try:
            # Once the hub did not answer, the cache alone is looked through.
            path = Path(hf_hub_download(name, file_name, local_files_only=is_away))
        except LocalEntryNotFoundError:  # also an EntryNotFoundError, so it comes first
            is_away = True
            problem = "the hub cannot be reached and its cache does not have the model"
        except EntryNotFoundError:
            continue
        except RepositoryNotFoundError:
            problem = "the hub has no such model, or it is private"
            break
        except HFValidationError:
            problem = "it is no name of the hub"
            break
        except (HfHubHTTPError, OSError) as error:
            problem = str(error).partition("\n")[0]
        else:
            _fetch_config(name)
            return path
    raise UserError(
        f"cannot load {name}: {problem}, and here is no such file or folder; give a file or a "
        "folder with the weights (`--backbone miniature` is a tiny one to try things with)"
    )


def _fetch_config(name: str) -> None:
    """Bring `config.json` beside the weights, where the model has one."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        hf_hub_download(name, "config.json")
    except (EntryNotFoundError, HfHubHTTPError, OSError):
        return  # the sizes can be read from the weights


def _read_config(path: Path) -> Mapping[str, Any] | None:
    file = path.parent / "config.json"
    if path.name not in WEIGHT_NAMES or not file.is_file():
        return None
    try:
        config: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is not JSON: {error}") from error
    return config


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            # A tensor is a view of the mapped file, and would change with it: hence the copies.
            state = {name: file.get_tensor(name).clone() for name in file.keys()}
            return state, file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or cut short: {error}") from error


def _begins_like_safetensors(path: Path) -> bool:
    """Tell a safetensors file under another name: the length of a JSON header, and the header."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is not plain tensors: it names code to run, or is damaged; refused"
        ) from error
    except (*_DAMAGE, OSError) as error:
        raise UserError(f"{path} is damaged or cut short: {_first_line(error)}") from error
    state = _unwrapped(loaded)
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        found = ", ".join(map(repr, list(state)[:3])) if isinstance(state, dict) else type(state)
        raise UserError(f'{path} holds no weights; expected {{"model": {{name: tensor}}}}, '
                        f"found {found}")  # fmt: skip
    return state


def _unwrapped(loaded: object) -> object:
    """Take the weights out of what training code puts around them: a key, a prefix of names."""
    for key in ("model", "module", "state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        return loaded
    prefix = "module."
    if loaded and all(name.startswith(prefix) for name in loaded):
        return {name.removeprefix(prefix): tensor for name, tensor in loaded.items()}
    return loaded


def check_values(file: WeightFile) -> None:
    """Refuse weights that would make every result meaningless.

    Raises:
        UserError: Naming the first tensor that is not floating point, or not finite.
    """
    for name, tensor in file.state.items():
        if not tensor.is_floating_point():
            raise UserError(f"{file.path}: {name} has dtype {tensor.dtype}; expected floats")
        if not tensor.isfinite().all():
            raise UserError(f"{file.path}: {name} has NaN or infinite values")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def write_safetensors(path: Path, state: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors so that a reader sees the whole file or none.

    Raises:
        UserError: The file cannot be written; the message names it.
    """
    from safetensors.torch import save

    data = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, metadata
    )
    write_atomically(path, _with_sorted_header(data))


def _with_sorted_header(data: bytes) -> bytes:
    """Return a safetensors file whose header is sorted: equal contents have equal bytes.

    The library writes metadata in an order of chance. Offsets count from the header's end.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of 8
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
