"""A small set to look at: twelve actions of HMDB-51 as a language model might describe them.

Most replies are good. Some refuse, ramble, number their lines, or say the same of two actions, so
that every part of the page has something to show. `describe` itself makes the set of them.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from scripted_server import Answer, ScriptedServer

from describe.browse_server import BrowseServer
from describe.browse_sets import choose_sets
from describe.build import build
from describe.config import Config

ROOT = Path(__file__).parent.parent.parent
WAIT_S = 30.0  # what nothing here needs
MODEL = "scripted-8b-instruct"
NUM_DESCRIPTIONS = 3

# By readable class name and kind, the replies to one draw after another.
REPLIES: dict[tuple[str, str], list[list[str] | str]] = {
    ("brush hair", "spatial"): [
        [
            "A woman holds a flat brush against her long dark hair in front of a mirror.",
            "Loose hair falls over one shoulder of a girl in a white bathrobe.",
            "A hand grips the wooden handle of a hairbrush beside a bathroom sink.",
        ]
    ],
    ("brush hair", "temporal"): [
        [
            "The woman lifts the brush to the top of her head.",
            "She pulls the bristles down through the full length of her hair.",
            "The free hand smooths the strands that the brush has left.",
        ]
    ],
    ("cartwheel", "spatial"): [
        [
            "A girl in a leotard is upside down with both arms and legs stretched like spokes.",
            "It is a joyful activity that builds confidence.",
            "Bare feet point to the ceiling above a long blue gymnastics mat.",
        ],
        ["A child stands on two hands in the grass with legs spread wide.", "Fun.", "Yes."],
    ],
    ("cartwheel", "temporal"): [
        [
            "The girl steps forward and raises both arms above her head.",
            "Her hands touch the mat one after the other as her legs swing over.",
            "Her feet land one by one and she stands up straight again.",
        ]
    ],
    ("climb", "spatial"): [
        [
            "A climber in a red harness clings to a steep grey rock face.",
            "A person moves upward with hands and feet.",
            "Chalky fingers hold a small orange grip on an indoor wall.",
        ],
        [
            "A rope runs from the belt of a climber to an anchor above.",
            "Both knees are bent against a vertical cliff.",
            "A helmet and a bag of chalk hang on a climber.",
        ],
    ],
    ("climb", "temporal"): [
        [
            "The climber reaches up and closes one hand around a ledge.",
            "One foot moves to a higher hold while the arms carry the weight.",
            "The body is pulled over the edge onto the flat top.",
        ]
    ],
    ("climb stairs", "spatial"): [
        [
            "A man in a grey coat stands halfway up a flight of stone steps.",
            "A person moves upward with hands and feet.",
            "One hand rests on the metal railing of a narrow staircase.",
        ],
        [
            "The sole of a brown shoe is set on the edge of a carpeted step.",
            "A school bag hangs on the back of a child on a staircase.",
            "Steps lead from a tiled hall to an upper floor.",
        ],
    ],
    ("climb stairs", "temporal"): [
        [
            "The man puts his right foot on the first step and shifts his weight onto it.",
            "His left foot passes the right one and lands on the next step.",
            "He reaches the landing and walks on over level ground.",
        ]
    ],
    ("dive", "spatial"): [
        '```json\n{"sentences": ["A swimmer is stretched out head first above a blue pool.", '
        '"Two arms point down beside the ears of a diver in mid-air.", '
        '"White spray rises where a body has just entered the water.",]}\n```'
    ],
    ("dive", "temporal"): [
        [
            "The diver walks to the end of the board and bends her knees.",
            "She jumps, folds at the waist and straightens with her hands below her head.",
            "Her hands cut the surface and her feet disappear in a small splash.",
        ]
    ],
    ("draw a sword", "spatial"): [
        "I'm sorry, but I can't help with content about weapons.",
        [
            "A man in a dark robe grips the hilt of a sword at his left hip.",
            "Half of a shining curved blade is out of its black sheath.",
            "A swordsman stands sideways with one hand on the scabbard.",
        ],
    ],
    ("draw a sword", "temporal"): [
        [
            "The right hand crosses the body and closes around the hilt.",
            "The blade slides out of the sheath in one long pull.",
            "The arm swings forward until the point of the sword faces the camera.",
        ]
    ],
    ("drink", "spatial"): [
        [
            "A boy tips a tall glass of milk against his lips.",
            "A woman with a loud slurp holds a white cup to her mouth.",
            "A bottle of water is raised in front of a tilted face.",
        ]
    ],
    ("drink", "temporal"): [
        [
            "The hand lifts the glass from the table to the mouth.",
            "The head tilts back and the liquid in the glass sinks.",
            "The empty glass is put down on the table.",
        ]
    ],
    ("back handspring", "spatial"): [
        [
            "A gymnast is bent backward in the air with arms reaching for the floor.",
            "An arched body hangs upside down over a sprung floor.",
            "A young athlete in a blue leotard is balanced on two hands with bent knees.",
        ]
    ],
    ("back handspring", "temporal"): [
        [
            "The gymnast swings both arms up and leans back.",
            "[Step 2]",
            "This action requires great strength and years of training to master.",
        ],
        ["As an AI language model, I cannot see videos.", "{action}", "Amazing!"],
        ["The action continues.", "The person performs the action.", "N/A"],
        "I'm sorry, but I can't help with that.",
    ],
    ("swing a golf club", "spatial"): [
        "Sure, here are three sentences:\n"
        "1. A golfer in white trousers stands over a small ball on a short green lawn.\n"
        "2. A long metal club is held low with both hands.\n"
        "3. A flag on a thin pole stands far behind the player."
    ],
    ("swing a golf club", "temporal"): [
        [
            "The golfer draws the club back over the right shoulder.",
            "The hips turn and the club head sweeps down through the ball.",
            "The club ends behind the neck while the eyes follow the flight of the ball.",
        ]
    ],
    ("run", "spatial"): [
        [
            "A runner with a number on his shirt leans forward on a red track.",
            "Both feet of a jogger are off the ground on a park path.",
            "A runner with a number on the shirt leans forward on a red track.",
        ],
        ["Bent elbows and a raised knee show the stride of a woman in shorts.", "Yes.", "No."],
    ],
    ("run", "temporal"): [
        [
            "One foot moves in front of the other.",
            "The arms swing in time with the legs.",
            "The person passes out of the picture.",
        ],
        [
            "The runner pushes off hard from the back foot and both feet leave the ground.",
            "The front knee drives up while the opposite elbow swings back.",
            "The runner slows to a stop and bends over with hands on knees.",
        ],
    ],
    ("smoke a cigarette", "spatial"): [
        [
            "A thin white cigarette hangs between two fingers near a bearded mouth, and behind the "
            "man a long row of parked cars, a bus stop, two trees and a shop with a striped awning "
            "can be seen in the evening light.",
            "A grey cloud drifts away from the lips of a man on a balcony.",
            "A lighter flame touches the end of a cigarette in cupped hands.",
        ],
        ["A hand taps ash into a glass tray on a café table.", "Ok.", "A cigarette."],
    ],
    ("smoke a cigarette", "temporal"): [
        [
            "The man puts the cigarette between his lips and draws in.",
            "He lowers his hand and blows a slow stream of smoke.",
            "The finger taps and grey ash drops to the ground.",
        ]
    ],
    ("walk", "spatial"): [
        [
            "A man with a leather bag strides along a wide city pavement.",
            "A couple with a small dog is on a gravel path between trees.",
            "One foot is flat on the ground and the heel of the other is raised.",
        ]
    ],
    ("walk", "temporal"): [
        [
            "One foot moves in front of the other.",
            "The arms swing in time with the legs.",
            "The person passes out of the picture.",
        ],
        [
            "The heel of the front foot touches the pavement while the back foot still stands.",
            "The weight rolls over the flat foot as the other leg swings past.",
            "The walker reaches the corner and turns out of sight.",
        ],
    ],
}
CLASSES = (
    "brush hair;cartwheel;climb;climb stairs;dive;draw sword;drink;flic flac;golf;run;smoke;walk"
)


def answer(body: Mapping[str, Any], number: int) -> Answer:
    """Answer a request of the shipped prompts; the seed says which draw it is."""
    prompt = body["messages"][-1]["content"]
    kind = "temporal" if "steps in order" in prompt else "spatial"
    draws = REPLIES[prompt.rpartition("Action: ")[2], kind]
    reply = draws[min(body["seed"], len(draws) - 1)]
    text = reply if isinstance(reply, str) else json.dumps({"sentences": reply})
    return Answer(text=text)


def make_set(home: Path, **flags: Any) -> Path:
    """Describe the twelve classes into the workspace `home`, as `python -m describe` does."""
    server = ScriptedServer(answer, models=({"id": MODEL},))
    root = home / "sets" / "hmdb51"
    try:
        with patch.dict(os.environ, DESCRIBE_HOME=str(home)):
            build(
                Config(
                    dataset="hmdb51",
                    subset=CLASSES,
                    base_url=(server.url,),
                    model=MODEL,
                    num_descriptions=NUM_DESCRIPTIONS,
                    num_sentences=NUM_DESCRIPTIONS,
                    out=root,
                    **flags,
                )
            )
    finally:
        server.stop()
    return root


_made: list[Path] = []


def the_workspace(factory: pytest.TempPathFactory) -> Path:
    """Return a workspace with the set, made once a session; copy it before changing it.

    Needed before a browser is opened: `describe` cannot run beside one in the same thread.
    """
    if not _made:
        _made.append(factory.mktemp("browse") / "home")
        make_set(_made[0])
    return _made[0]


@contextmanager
def serving(home: Path, name: str | None = None) -> Iterator[str]:
    """Serve the sets of `home`, or one, from a thread of this process; yield the address.

    It starts at once, unlike the command. Edits go to the workspace of this process.
    """
    sets = choose_sets(home, name)
    with BrowseServer(sets, home) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.address(sets[0] if name else None)
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def browsing(home: Path, *args: str) -> Iterator[str]:
    """Run `python -m describe.browse` on the workspace `home`; yield the address it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "describe.browse", *args, "--no-open"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DESCRIBE_HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert "http://" in said, f"it said {said!r}"
        yield said.split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        process.wait(WAIT_S)
