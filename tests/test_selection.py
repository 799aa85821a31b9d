"""From replies to a set: order, surplus, steps in their places, and who is asked again."""

import json

import pytest
from scripted_server import sentence

from describe.build import next_asks
from describe.classes import ActionClass
from describe.config import Config
from describe.prompts import Ask, Asker, Sampling, load_prompts
from describe.request import Kind, Reply
from describe.selection import SURPLUS, Slot, fill, first_sight, rejected_by_rule

FRAMES: dict[Kind, str] = {"spatial": "", "temporal": ""}
POOR = "As an AI language model, I cannot describe this action."


def good(number: int) -> str:
    return sentence(f"good {number}")


class World:
    """Two classes, and replies that are put in by hand."""

    def __init__(self, **options) -> None:
        self.config = Config(dataset="hmdb51", **options)
        self.replies: dict[str, Reply] = {}
        self.slots: list[Slot] = []

    def slot(self, name: str, kind: Kind, *replies: list[str]) -> Slot:
        action = ActionClass(class_id=len(self.slots), name=name, readable=name)
        slot = Slot(action=action, kind=kind)
        for sample, sentences in enumerate(replies):
            key = f"{name} {kind} {sample}"
            slot.asks.append(Ask(key=key, action=action, kind=kind, sample=sample))
            self.replies[key] = Reply(text=json.dumps({"sentences": sentences}))
        self.slots.append(slot)
        return slot

    def fill(self) -> None:
        fill(self.config, self.slots, lambda ask: self.replies.get(ask.key), FRAMES)


def texts(slot: Slot) -> list[str]:
    return [candidate.text for candidate in slot.kept]


def test_the_first_good_sentences_are_kept_in_order():
    world = World()
    slot = world.slot("archery", "spatial", [good(1), POOR], [good(2), good(3)])
    world.fill()
    assert texts(slot) == [good(1), good(2)]
    assert [(c.text, c.verdict.rule) for c in slot.rejected] == [
        (POOR, "refusal"),
        (good(3), SURPLUS),
    ]


def test_a_step_that_is_missing_is_taken_from_the_same_place_of_a_later_reply():
    world = World()
    slot = world.slot("archery", "temporal", [POOR, good(2)], [good(3), good(4)])
    world.fill()
    assert texts(slot) == [good(3), good(2)]


def test_filling_again_with_the_same_replies_changes_nothing():
    world = World()
    slot = world.slot("archery", "spatial", [good(1), POOR])
    world.fill()
    before = (texts(slot), [c.text for c in slot.rejected])
    world.fill()
    assert (texts(slot), [c.text for c in slot.rejected]) == before


def test_an_ask_without_a_reply_leaves_the_slot_short():
    world = World()
    slot = world.slot("archery", "spatial", [good(1), good(2)])
    world.replies.clear()
    world.fill()
    assert texts(slot) == []


def test_a_sentence_of_two_classes_is_kept_in_neither_and_each_names_the_other():
    world = World()
    one = world.slot("archery", "spatial", [good(1), good(2)])
    other = world.slot("yoga", "spatial", [good(1), good(3)])
    world.fill()
    assert texts(one) == [good(2)]
    assert texts(other) == [good(3)]
    assert (one.confusable(), other.confusable()) == ("yoga", "archery")


def test_identical_lists_are_both_emptied():
    world = World()
    slots = [world.slot(name, "spatial", [good(1), good(2)]) for name in ("archery", "yoga")]
    world.fill()
    assert [texts(slot) for slot in slots] == [[], []]
    assert rejected_by_rule(slots) == {"identical_list": 4}


SAMPLING = Sampling(
    model="m",
    revision="",
    num_sentences=2,
    temperature=0.7,
    top_p=0.95,
    seed=0,
    max_tokens=160,
    frequency_penalty=0.0,
    presence_penalty=0.0,
    structured_output="json_schema",
    token_field="max_tokens",
    omit=(),
    extra_body={},
)


@pytest.mark.parametrize(
    ("num_descriptions", "num_sentences", "expected"),
    [(2, 2, 1), (4, 2, 2), (3, 2, 2), (1, 2, 1), (8, 8, 1), (8, 1, 8)],
)
def test_n_sentences_take_n_by_the_request_size_requests(num_descriptions, num_sentences, expected):
    config = Config(
        dataset="hmdb51", num_descriptions=num_descriptions, num_sentences=num_sentences
    )
    slot = Slot(action=ActionClass(class_id=0, name="a", readable="a"), kind="spatial")
    asks = next_asks(config, Asker(load_prompts("v1"), SAMPLING), [slot], 0)
    assert [ask.sample for ask in asks] == list(range(expected))


def test_a_top_up_is_a_new_sample_that_names_the_confusable_class_and_skips_the_hopeless():
    world = World()
    short = world.slot("archery", "spatial", [good(1), good(2)])
    world.slot("yoga", "spatial", [good(1), good(3)])
    full = world.slot("chess", "spatial", [good(4), good(5)])
    hopeless = world.slot("judo", "spatial", [POOR, POOR])
    hopeless.hopeless = True
    world.fill()
    asker = Asker(load_prompts("v1"), SAMPLING)
    asks = next_asks(world.config, asker, world.slots, 1)
    assert [(ask.action.name, ask.sample) for ask in asks] == [("archery", 1), ("yoga", 1)]
    assert asks[0].confusable == "yoga"
    assert "yoga" in asker.request(asks[0]).prompt
    assert short.asks[-1] == asks[0]
    assert len(full.asks) == 1


def test_first_sight_counts_what_passes_alone():
    ask = Ask(
        key="k", action=ActionClass(class_id=0, name="a", readable="a"), kind="spatial", sample=0
    )
    reply = Reply(text=json.dumps({"sentences": [good(1), POOR]}))
    assert first_sight(Config(dataset="hmdb51"), ask, reply, FRAMES) == (1, 1)
