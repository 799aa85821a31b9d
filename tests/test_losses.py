"""Both losses, by hand."""

import math

import pytest
import torch

from adapt.losses import class_logits, classification_loss, consistency_loss
from adapt.step import StepConfig
from describe.errors import UserError

CLASSES = torch.tensor([[3.0, 0.0], [0.0, 0.5]])  # two axes, of lengths that must not matter


def test_logits_are_cosines_over_the_temperature():
    videos = torch.tensor([[6.0, 8.0]])  # cosines .6 and .8
    torch.testing.assert_close(class_logits(videos, CLASSES), torch.tensor([[60.0, 80.0]]))
    torch.testing.assert_close(class_logits(videos, CLASSES, 0.2), torch.tensor([[3.0, 4.0]]))


def test_cross_entropy_by_hand():
    videos = torch.tensor([[6.0, 8.0], [6.0, 8.0]])
    loss = classification_loss(videos, CLASSES, torch.tensor([1, 0]), temperature=0.2)
    right = math.log(1 + math.exp(-1))  # of the class at 4 against 3
    assert loss.item() == pytest.approx((right + (1 + right)) / 2, abs=1e-6)


def test_consistency_by_hand():
    spatial = torch.tensor([[2.0, 0.0], [3.0, 4.0]])  # cosines 1 and .8
    temporal = torch.tensor([[0.0, 1.0], [-5.0, 0.0]])  # cosines 0 and 0
    loss = consistency_loss(CLASSES, spatial, temporal)
    assert loss.item() == pytest.approx(((2 - 1 - 0) + (2 - 0.8 - 0)) / 2)
    assert consistency_loss(CLASSES, spatial).item() == pytest.approx((0 + 0.2) / 2)


def test_l2_is_the_distance_on_the_unit_sphere():
    described = torch.tensor([[0.0, 7.0], [0.0, 1.0]])  # a right angle, and the same
    loss = consistency_loss(CLASSES, described, kind="l2")
    assert loss.item() == pytest.approx((math.sqrt(2) + 0) / 2, abs=1e-5)


def test_kl_compares_likeness_to_all_descriptions():
    described = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert consistency_loss(CLASSES, described, kind="kl").item() == pytest.approx(0, abs=1e-6)
    turned = torch.tensor([[0.0, 1.0], [0.0, 1.0]])  # class 0 sits on description 1
    # p = softmax(1, 0) for class 0, q = softmax(0, 1): KL = (2 p - 1) * 1; class 1 is at its own.
    p = math.exp(1) / (math.exp(1) + 1)
    loss = consistency_loss(turned, described, kind="kl", temperature=1.0)
    assert loss.item() == pytest.approx((2 * p - 1) / 2, abs=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "l2", "kl"])
def test_every_kind_pulls_a_class_towards_its_description(kind):
    described = torch.tensor([[1.0, 0.2], [0.1, 1.0]])
    classes = torch.tensor([[0.5, 1.0], [1.0, 0.9]], requires_grad=True)
    temperature = 1.0
    before = consistency_loss(classes, described, kind=kind, temperature=temperature)
    before.backward()
    moved = classes.detach() - 0.05 * classes.grad
    assert consistency_loss(moved, described, kind=kind, temperature=temperature) < before


@pytest.mark.parametrize("kind", ["cosine", "l2", "kl"])
def test_a_class_at_its_description_has_a_finite_gradient(kind):
    classes = torch.eye(2, requires_grad=True)
    consistency_loss(classes, torch.eye(2), kind=kind).backward()
    assert classes.grad.isfinite().all()


def test_descriptions_are_constants():
    described = torch.eye(2, requires_grad=True)
    with pytest.raises(ValueError, match="constants of a run and must not need a gradient"):
        consistency_loss(CLASSES, described)
    with pytest.raises(ValueError, match=r"descriptions \(3, 2\), classes"):
        consistency_loss(CLASSES, torch.ones(3, 2))
    with pytest.raises(UserError, match="needs at least one kind of description"):
        consistency_loss(CLASSES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": -1.0}, "alpha is -1.0; it must be a number of at least 0"),
        ({"accumulate": 0}, "accumulate is 0; it must be at least 1"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
    ],
)
def test_impossible_steps_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        StepConfig(**changes)
