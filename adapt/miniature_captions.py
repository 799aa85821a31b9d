"""Captions that the tiny backbone is pre-trained on: what one video's caption may say of others.

Captions are as loose as those of the web: many leave out what acts or what it does, and many
do not say which way something goes. A caption is therefore true of several videos of a batch, and
training is told of which, so that no video is pushed away from words that fit it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from adapt.miniature_classes import MOTIONS, ORDER_PAIRS, SHAPES, load_actions

SHAPE_WORDS = {
    "circle": ("circle", "circle", "red circle", "round ball"),
    "square": ("square", "square", "green square", "box with four corners"),
    "triangle": ("triangle", "triangle", "blue triangle", "shape with three corners"),
    "cross": ("cross", "cross", "purple cross", "plus sign"),
    "star": ("star", "star", "yellow star", "shape with five points"),
    "moon": ("moon", "moon", "white moon", "curved sickle"),
}

# After "a circle ..."
DOING = {
    "rising": ("rising", "rising", "moving up", "going upward"),
    "falling": ("falling", "falling", "moving down", "going downward"),
    "growing": ("growing", "growing", "getting bigger", "becoming large"),
    "shrinking": ("shrinking", "shrinking", "getting smaller", "becoming small"),
    "opening": ("opening", "opening", "turning into a ring", "with a widening hole"),
    "closing": ("closing", "closing", "turning solid", "with a narrowing hole"),
    "splitting": ("splitting", "splitting", "coming apart", "dividing into two"),
    "joining": ("joining", "joining", "coming together", "merging into one"),
    "spinning": ("spinning", "spinning", "turning around", "rotating in place"),
    "shaking": ("shaking", "shaking", "moving quickly from side to side", "trembling"),
    "blinking": ("blinking", "blinking", "flashing on and off", "vanishing and coming back"),
    "bouncing": ("bouncing", "bouncing", "hopping up and down", "jumping again and again"),
}

# After "the circle ..." or "a circle that ..."
STEPS = {
    "rising": ("starts low and ends high", "is near the bottom first", "is near the top last"),
    "falling": ("starts high and ends low", "is near the top first", "is near the bottom last"),
    "growing": ("starts small and ends large", "is small first", "is large last"),
    "shrinking": ("starts large and ends small", "is large first", "is small last"),
    "opening": ("starts solid and ends as a ring", "is solid first", "is a hollow ring last"),
    "closing": ("starts as a ring and ends solid", "is a hollow ring first", "is solid last"),
    "splitting": ("starts as one and ends as two", "is one first", "is two apart last"),
    "joining": ("starts as two and ends as one", "is two apart first", "is one last"),
    "spinning": ("turns around its middle", "points another way in each picture"),
    "shaking": ("goes left and right again and again", "never rests on one side"),
    "blinking": ("is gone and then back", "can be seen only some of the time"),
    "bouncing": ("goes up and down again and again", "hits the bottom and jumps back up"),
}

# True of both motions of a pair, for they do not say which comes first.
VAGUE = {
    "rising": ("moving straight through the picture", "changing its height"),
    "growing": ("changing its size", "both small and large"),
    "opening": ("changing its hole", "both solid and hollow"),
    "splitting": ("with a second one", "both one and two"),
}

TEMPLATES = ("a video of {}.", "a video of {}.", "a clip that shows {}.", "this is {}.", "{}.")


NOUNS = ("something", "something", "a thing", "a shape")  # of captions that name no shape

# What captions name. Those of the tasks' pairs of shape and motion never name both.
PART_SHARES = {"shape": 0.15, "motion": 0.2, "both": 0.65}
UNNAMED_SHARES = {"shape": 0.3, "motion": 0.7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A text and what has to hold for it to be true."""

    text: str
    shape: str | None
    """None: it does not say."""
    motions: tuple[str, ...]
    """It is true of each of these."""


def visible_pairs() -> tuple[tuple[str, str], ...]:
    """Return all pairs of shape and motion but one: a circle looks the same from every side."""
    pairs = [(shape, motion) for shape in SHAPES for motion in MOTIONS]
    return tuple(pair for pair in pairs if pair != ("circle", "spinning"))


@cache
def task_pairs() -> frozenset[tuple[str, str]]:
    """Return the pairs that are classes of the tasks."""
    return frozenset((each.shape, each.motion) for each in load_actions())


def write_caption(shape: str, motion: str, vague_share: float, rng: np.random.Generator) -> Caption:
    """Write one of the many captions of a video.

    Args:
        shape: What acts.
        motion: What it does.
        vague_share: Share of captions, for motions of a pair, that do not say which of both.
        rng: All chance comes from it.
    """
    shares = UNNAMED_SHARES if (shape, motion) in task_pairs() else PART_SHARES
    part = str(rng.choice(list(shares), p=list(shares.values())))
    noun = str(rng.choice(NOUNS)) if part == "motion" else f"a {rng.choice(SHAPE_WORDS[shape])}"
    motions, phrase = MOTIONS, ""
    if part != "shape":
        motions, phrase = _motion_phrase(motion, vague_share, rng)
    text = f"{noun} {phrase}".strip()
    text = str(rng.choice(TEMPLATES)).format(text)
    return Caption(text=text, shape=None if part == "motion" else shape, motions=motions)


def _motion_phrase(
    motion: str, vague_share: float, rng: np.random.Generator
) -> tuple[tuple[str, ...], str]:
    """Return what follows the noun, and the motions it is true of."""
    pair = next((pair for pair in ORDER_PAIRS if motion in pair), None)
    if pair and rng.random() < vague_share:
        return pair, str(rng.choice(VAGUE[pair[0]]))
    if rng.random() < 0.4:
        return (motion,), f"that {rng.choice(STEPS[motion])}"
    return (motion,), str(rng.choice(DOING[motion]))


def is_true(caption: Caption, shape: str, motion: str) -> bool:
    """Return whether a caption fits a video."""
    return caption.shape in (None, shape) and motion in caption.motions


def contradict(one: Caption, other: Caption) -> bool:
    """Return whether no video fits both captions."""
    shapes = {one.shape, other.shape} - {None}
    return len(shapes) == 2 or not set(one.motions) & set(other.motions)


def all_texts() -> tuple[str, ...]:
    """Return every piece that captions are made of."""
    groups = (SHAPE_WORDS, DOING, STEPS, VAGUE)
    texts = [text for group in groups for texts in group.values() for text in texts]
    return (*texts, *NOUNS, *(each.format("an") for each in TEMPLATES), "the that a")
