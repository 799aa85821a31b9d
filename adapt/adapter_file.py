"""An adapter alone on disk: its parameters, its configuration, and whose backbone it belongs to."""

import json
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.backbone import ViCLIP
from adapt.checkpoint import backbone_hash
from adapt.weight_files import WeightFile, check_values, read_weights, write_safetensors
from describe.errors import UserError

FORMAT = "msta-adapter-1"


def save_adapter(model: AdaptedModel, path: Path, backbone: str | None = None) -> None:
    """Write what was trained, as safetensors.

    Args:
        model: Its adapter; the backbone too, where that was trained (method full).
        path: The file.
        backbone: Hash of the backbone the training started from, needed for method full alone:
            by then the backbone is another.

    Raises:
        UserError: The file cannot be written.
        ValueError: A trained backbone without the hash of what it was.
    """
    if model.config.method == "full" and backbone is None:
        raise ValueError("backbone is None; a full model needs the hash of what it started from")
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config)),
        "backbone": backbone or backbone_hash(model.backbone),
    }
    write_safetensors(path, _trained_state(model), metadata)


def load_adapter(backbone: ViCLIP, path: Path) -> AdaptedModel:
    """Put a saved adapter on the backbone it was trained on.

    A fully trained backbone is a copy; the one that is given stays as it is.

    Raises:
        UserError: The file is damaged or no adapter, belongs to another backbone, or lacks a
            tensor; the first mismatch is named.
    """
    file = read_weights(path)
    config = read_adapter_config(file)
    expected, actual = file.metadata["backbone"], backbone_hash(backbone)
    if expected != actual:
        raise UserError(
            f"{path} was trained on backbone {expected[:15]}, and this one is {actual[:15]}; "
            "load that backbone"
        )
    check_values(file)
    model = AdaptedModel(deepcopy(backbone) if config.method == "full" else backbone, config)
    _check(file, _trained_state(model))
    model.load_state_dict(file.state, strict=False)
    return model


def read_adapter_config(file: WeightFile) -> AdapterConfig:
    """Read the configuration in an adapter file's header.

    Raises:
        UserError: It is no adapter, or one of a later format.
    """
    if file.metadata.get("format") != FORMAT or "backbone" not in file.metadata:
        raise UserError(f"{file.path} is no adapter file of format {FORMAT}")
    try:
        stored = json.loads(file.metadata["config"])
        stored["lora_targets"] = tuple(stored["lora_targets"])
        return AdapterConfig(**stored)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file.path} has an unreadable config: {error}") from error


def _trained_state(model: AdaptedModel) -> dict[str, Tensor]:
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name in trained}


def _check(file: WeightFile, expected: dict[str, Tensor]) -> None:
    for name, tensor in expected.items():
        if name not in file.state:
            raise UserError(f"{file.path} has no {name}, expected {list(tensor.shape)}")
        if file.state[name].shape != tensor.shape:
            actual = list(file.state[name].shape)
            raise UserError(f"{file.path}: {name} is {actual}, expected {list(tensor.shape)}")
    extra = sorted(set(file.state) - set(expected))
    if extra:
        raise UserError(f"{file.path} has {extra[0]}, which this adapter has not")
