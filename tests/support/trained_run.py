"""A run that has been trained, for a few seconds, to evaluate and to predict with."""

import os
from pathlib import Path
from unittest import mock

from tiny_training import World, make_world

from adapt.train import main


def train_world(folder: Path, *flags: object, name: str = "one") -> World:
    """Make videos, a backbone and descriptions in `folder`, and train a run on them."""
    world = make_world(folder, test=3)
    train_in(world, *flags, name=name)
    return world


def train_in(world: World, *flags: object, name: str) -> None:
    """Train another run in a world that is there."""
    with mock.patch.dict(os.environ, {"DESCRIBE_HOME": str(world.folder / "home")}):
        blocks = ["--start-block", 1, "--end-block", 3]
        assert main(world.flags(*blocks, *flags, name=name)) == 0
