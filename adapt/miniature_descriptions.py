"""Written-in descriptions of the miniature actions, and four ways to spoil them.

The same number of sentences in each arm, so that arms differ in what they say alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from adapt.miniature_classes import DATASET, Action, load_actions
from describe.dataset import Description, WrittenVersion, write_version
from describe.tokens import num_clip_tokens

Variant = Literal["right", "swapped", "generic", "unrelated"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

LOOKS = {
    "circle": ("a red circle without any corner", "a round ball with the same edge all around"),
    "square": ("a green square with four equal sides", "a box with four corners"),
    "triangle": ("a blue triangle on its flat side", "a shape with three sharp corners"),
    "cross": ("a purple cross with four equal arms", "a plus sign made of two thick bars"),
    "star": ("a yellow star with five long points", "a shape with five arms around its middle"),
    "moon": ("a white moon like a thin sickle", "a curved sickle that is open on one side"),
}

SCENES = {
    "rising": ("now low and now high in the picture", "at another height in each picture"),
    "falling": ("now high and now low in the picture", "at another height in each picture"),
    "growing": ("sometimes small and sometimes large", "that keeps its place but not its size"),
    "shrinking": ("sometimes large and sometimes small", "that keeps its place but not its size"),
    "opening": ("with a hole in its middle", "that is partly solid and partly a ring"),
    "closing": ("with a hole in its middle", "that is partly solid and partly a ring"),
    "splitting": ("beside another one of its kind", "of which there are one or two"),
    "joining": ("beside another one of its kind", "of which there are one or two"),
    "spinning": ("that is tilted in many ways", "that stays in place at every angle"),
    "shaking": ("now a little left and now a little right", "that is never quite in the middle"),
    "blinking": ("that is missing in some pictures", "that is there or gone"),
    "bouncing": ("now on the ground and now in the air", "at many heights in turn"),
}

STEPS = {
    "rising": ("is near the bottom of the picture first", "moves up without a stop",
               "passes the middle from below", "is near the top last"),
    "falling": ("is near the top of the picture first", "moves down without a stop",
                "passes the middle from above", "is near the bottom last"),
    "growing": ("is small first", "gets bigger on all sides", "reaches half of its size",
                "is large last"),
    "shrinking": ("is large first", "gets smaller on all sides", "is down to half of its size",
                  "is small last"),
    "opening": ("is solid first", "has a small hole in its middle then", "has a widening hole",
                "is a thin ring last"),
    "closing": ("is a thin ring first", "has a large hole in its middle then",
                "has a narrowing hole", "is solid last"),
    "splitting": ("is one first", "becomes two that still touch", "leaves a gap between the two",
                  "is two far apart last"),
    "joining": ("is two far apart first", "closes the gap between the two",
                "becomes two that touch", "is one last"),
    "spinning": ("points up first", "turns around its middle", "points another way then",
                 "keeps turning in place until the end"),
    "shaking": ("moves quickly to one side", "goes back to the other side",
                "does so again and again", "goes left and right until the end"),
    "blinking": ("can be seen first", "is gone all at once", "comes back in the same place",
                 "is on and off again and again"),
    "bouncing": ("goes up from the bottom first", "falls back down", "hits the bottom and jumps",
                 "goes up and down again and again"),
}  # fmt: skip

GENERIC = {
    "spatial": ("A plain shape on a plain ground.", "A simple picture with one thing in it.",
                "Something of one colour can be seen.", "The picture shows a shape."),
    "temporal": ("Something is there first.", "Then something happens to it.",
                 "It goes on for a time.", "It is over last."),
}  # fmt: skip

UNRELATED = {
    "spatial": ("A chef in a white apron stands at a stove.", "Rain runs down a kitchen window.",
                "A brown dog sleeps under the table.", "Bread and cheese lie on a wooden board."),
    "temporal": ("The chef breaks eggs into a bowl.", "Then flour is poured in and stirred.",
                 "The dough is left to rest.", "Finally the cake is baked and served."),
}  # fmt: skip


def sentences(shape: str, motion: str) -> dict[str, tuple[str, ...]]:
    """Return four sentences of each kind for one action."""
    spatial = tuple(
        f"{look[0].upper()}{look[1:]}, {scene}."
        for look in LOOKS[shape]
        for scene in SCENES[motion]
    )
    return {"spatial": spatial, "temporal": tuple(f"The {shape} {s}." for s in STEPS[motion])}


def describe_actions(variant: Variant) -> dict[str, Mapping[str, Sequence[str]]]:
    """Return, by class name, the sentences of each kind ("spatial", "temporal").

    Args:
        variant: right; swapped: each class has those of a class of another shape and another
            motion, within its half; generic: the same for all classes, true of all; unrelated: the
            same for all classes, true of none.
    """
    actions = load_actions()
    if variant in ("generic", "unrelated"):
        shared = GENERIC if variant == "generic" else UNRELATED
        return {each.action.name: shared for each in actions}
    givers = _swap(actions) if variant == "swapped" else {each: each for each in actions}
    return {
        each.action.name: sentences(givers[each].shape, givers[each].motion) for each in actions
    }


def _swap(actions: Sequence[Action]) -> dict[Action, Action]:
    """Give every class another one of its half, of other parts, each to one class alone."""
    found: dict[Action, Action] = {}
    for group in ("base", "novel"):
        half = [each for each in actions if each.action.group == group]
        shift = next(s for s in range(1, len(half)) if _parts_differ(half, s))
        found |= {each: half[(i + shift) % len(half)] for i, each in enumerate(half)}
    return found


def _parts_differ(half: Sequence[Action], shift: int) -> bool:
    pairs = [(each, half[(i + shift) % len(half)]) for i, each in enumerate(half)]
    return all(a.shape != b.shape and a.motion != b.motion for a, b in pairs)


def write_descriptions(root: Path, variant: Variant = "right") -> WrittenVersion:
    """Write a variant as a version of the description set in `root`, named as the variant.

    Raises:
        UserError: The folder cannot be written, or its version of that name has other rows.
    """
    described = describe_actions(variant)
    rows = [
        Description(
            class_id=each.action.class_id,
            class_name=each.action.name,
            readable_name=each.action.readable,
            group=each.action.group or "",
            kind=kind,
            step=step,
            text=text,
            num_tokens=num_clip_tokens(text),
            model="written by hand",
        )
        for each in load_actions()
        for kind, texts in described[each.action.name].items()
        for step, text in enumerate(texts)
    ]
    manifest = {"dataset": DATASET, "source": {"written": "by hand", "variant": variant}}
    return write_version(root, rows, [], manifest, variant)
