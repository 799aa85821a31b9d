"""The miniature world's parts: which shapes there are, what they can do, which pairs are actions.

A class is a shape and a motion ("star falling"). Every shape and every motion is in the base half
and in the novel half, but never the same two together: a novel class combines known parts.
"""

from dataclasses import dataclass

from describe.classes import ActionClass, load_classes

DATASET = "miniature"

SHAPES = ("circle", "square", "triangle", "cross", "star", "moon")

# Each of these motions is the other one's film run backwards: only order tells them apart.
ORDER_PAIRS = (
    ("rising", "falling"),
    ("growing", "shrinking"),
    ("opening", "closing"),
    ("splitting", "joining"),
)
OTHER_MOTIONS = ("spinning", "shaking", "blinking", "bouncing")
MOTIONS = (*(motion for pair in ORDER_PAIRS for motion in pair), *OTHER_MOTIONS)

BACKWARDS = {second: first for first, second in ORDER_PAIRS}
"""The second motion of each pair to the first, of which it is the reverse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One class of the miniature world, by its parts."""

    action: ActionClass
    shape: str
    motion: str

    @property
    def partner_motion(self) -> str | None:
        """The motion that is this one in reverse; None where there is no such class."""
        for first, second in ORDER_PAIRS:
            if self.motion in (first, second):
                return second if self.motion == first else first
        return None


def load_actions() -> tuple[Action, ...]:
    """Return the classes in label order."""
    actions = []
    for each in load_classes(DATASET).classes:
        shape, motion = each.name.split()
        assert shape in SHAPES, each.name
        assert motion in MOTIONS, each.name
        actions.append(Action(action=each, shape=shape, motion=motion))
    return tuple(actions)


def order_partners(actions: tuple[Action, ...]) -> dict[int, int]:
    """Map the place of each class of an order-only pair to the place of the other one."""
    places = {(each.shape, each.motion): place for place, each in enumerate(actions)}
    found = {}
    for place, each in enumerate(actions):
        if each.partner_motion is not None:
            found[place] = places[each.shape, each.partner_motion]
    return found
