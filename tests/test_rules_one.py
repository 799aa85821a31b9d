"""Each rule over one sentence: what it must catch, and the near misses it must not.

The examples are written for these tests, in the manner of real ones: `(class, kind, text)`.
"""

import pytest

from describe.rules import RULES, RuleConfig, Sentence, judge

S, T = "spatial", "temporal"
STEP = "A video of {} generally involves the following step: {}, which is a sub-step."

CAUGHT = {
    "control_characters": [
        ("juggle", S, "Three red balls\x07 hang in the air."),
        ("juggle", S, "Three red\u200b balls hang in the air."),
        ("juggle", S, "Three red balls hang\u00ad in the air."),
        ("juggle", S, "Three red balls\nhang in the air."),
    ],
    "mojibake": [
        ("bow", S, "The dancerâ€™s arm is raised."),
        ("bow", S, "A cup stands on the cafÃ© table."),
        ("bow", S, "A cup stands on the caf\ufffd table."),
        ("bow", S, "The oven is set to 180 Â°C."),
    ],
    "wrong_script": [
        ("bow", S, "一个人 in a white suit bows."),
        ("bow", S, "Человек bows on the mat."),
        ("bow", S, "A wrestler bows on the mat \U0001f600"),
        ("bow", S, "Α wrestler bows on the mat."),  # a Greek capital alpha
    ],
    "refusal": [
        ("slap", S, "I'm sorry, but I can't describe that."),
        ("slap", S, "As an AI language model, I have no body."),
        ("slap", T, "Unfortunately, there is too little to go on."),
        ("slap", T, "I cannot provide steps for this action."),
    ],
    "leaked_instruction": [
        ("wave", S, "A video about waving hands. the output should be in the following format: []"),
        ("wave", S, "Each sentence should be short and concrete."),
        ("wave", S, "Write two sentences describing the action."),
        ("wave", S, "Describe the visual appearance of the person."),
        ("wave", T, "Answer as JSON with one key."),
        ("wave", T, "Never mention the name of the action."),
        ("wave", T, "The action: wave"),
        ("wave", T, "['sentence 1', 'sentence 2']"),
    ],
    "no_answer": [
        ("wave", S, "N/A"),
        ("wave", S, "Sure! Two hands are waving."),
        ("wave", S, "Here are two sentences about waving."),
        ("wave", S, "I see a man who waves."),
        ("wave", T, "What would you like me to describe?"),
        ("wave", T, "I hope that is what you need!"),
    ],
    "template_debris": [
        ("wave", S, "A person is doing {cls} outdoors."),
        ("wave", S, "A hand is {{ class_name }} in the air."),
        ("wave", S, "A hand moves the <object> to the left."),
        ("wave", T, "[step 1] the arm goes up."),
        ("wave", T, "The [object] is lifted off the table."),
        ("wave", T, "A person raises ____ over the head."),
        ("wave", S, "A hand doing cls in a park."),
    ],
    "numbering": [
        ("wave", T, "1. The arm goes up."),
        ("wave", T, "2) The hand turns outward."),
        ("wave", T, "(3) The hand sinks again."),
        ("wave", T, "Step 4: The fingers close."),
        ("wave", T, "Step two - the fingers open."),
        ("wave", T, "- The arm goes up."),
        ("wave", T, STEP.format("wave", "1. raising the arm")),
        ("wave", T, "Step 3"),
    ],
    "brackets": [
        ("wave", T, STEP.format("wave", "(lift the forearm)")),
        ("wave", T, STEP.format("wave", "(lift the forearm) begins")),
        ("wave", S, "A video about [open palms]."),
        ("wave", S, "(a hand above a crowd)"),
        ("wave", S, "A hand (open above a crowd."),
    ],
    "markup": [
        ("wave", S, "A hand **waves** above a crowd."),
        ("wave", S, "<b>A hand</b> above a crowd."),
        ("wave", S, '"description": "A hand above a crowd."'),
        ("wave", S, "See https://example.org for a hand above a crowd."),
        ("wave", T, "the arm goes up, initial_phase"),
    ],
    "several_sentences": [
        ("wave", S, "A hand goes up. It turns left. It turns right."),
        ("wave", S, "A video about a raised hand, a video about open fingers."),
    ],
    "too_short": [("wave", S, "elbow"), ("wave", S, "Waving.")],
    "too_long": [("wave", S, "A hand " + "and a hand " * 13 + "wave.")],
    "too_many_tokens": [
        (
            "wave",
            T,
            "The forearm swings from the left shoulder to the right shoulder and back again "
            "several times while the fingers of the hand stay spread wide open above the "
            "shoulder of the same side.",
        ),
    ],
    "cut_off": [
        ("wave", S, "A hand is raised above the"),
        ("wave", S, "A hand is raised above a crowd and"),
        ("wave", S, "A hand is raised above a crowd,"),
        ("wave", S, "A hand is raised above a ..."),
        ("wave", T, STEP.format("wave", "raising the arm and")),
        ("wave", S, "A raised hand is"),
    ],
    "bare_class_name": [
        ("stacking cups", S, "Stacking cups."),
        ("stacking cups", S, "A video about stacking cups."),
    ],
    "not_visual": [
        ("play drums", S, "A video about the deep sound of the drum."),
        ("play drums", S, "A video about loud, booming sounds."),
        ("play drums", S, "The music is fast and cheerful."),
        ("clap", S, "A handclap makes a short, dry sound."),
        ("bake bread", S, "A video about the smell of fresh bread."),
        ("bake bread", S, "A video about a sweet, nutty aroma."),
        ("surf", S, "A video about the thrill of the wave."),
        ("surf", S, "pure joy and excitement"),
        ("surf", S, "A video about a calm, deep concentration."),
        ("yoga", S, "Yoga helps to reduce stress."),
        ("yoga", S, "Yoga is an ancient practice."),
        ("yoga", S, "This pose is good for the back."),
        ("archery", S, "Archery requires patience and focus."),
        ("archery", S, "Archery is one of the most popular sports."),
        ("archery", S, "It originated in ancient times."),
        ("walk", S, "He feels the wind on a hill."),
        ("walk", S, "Birds can be heard from the trees."),
        ("eat cake", T, "Enjoy your cake!"),
        ("act", T, "Understanding the part"),
        ("whistle", T, STEP.format("whistle", "producing a clear sound")),
        ("play flute", T, "Practice every day to improve your skills."),
    ],
    "generic": [
        ("wave", S, "A person is performing an action."),
        ("wave", S, "A video about smooth and careful movements."),
        ("wave", S, "Someone is doing something."),
        ("wave", T, STEP.format("wave", "continuing the motion")),
        ("wave", T, "The action is completed."),
        ("wave", S, "The person performs the action of waving with precision."),
    ],
    "kind_confusion": [
        ("wave", S, "First, the arm goes up."),
        ("wave", S, "The next step shows an open hand."),
        ("wave", T, "The woman is wearing a green coat."),
        ("wave", T, "The background is a grey wall."),
        ("wave", T, "There are two trees behind a bench."),
    ],
}

KEPT = {
    "control_characters": [("juggle", S, "Three red balls hang in the air over a café table.")],
    "mojibake": [
        ("bow", S, "A jury watches a crème brûlée being torched."),
        ("bow", S, "A São Paulo street is full of dancers."),
        ("bow", T, "The oven is set to 180 °C."),
    ],
    "wrong_script": [
        ("bow", T, "The dancer sinks into a plié."),
        ("bow", S, "A naïve painting of a wrestler hangs on a wall."),
        ("bow", S, "A dancer’s arm is raised — and a skirt swings…d by."),
    ],
    "refusal": [
        ("slap", S, "A sorry-looking dog lies under a table."),
        ("slap", S, "A man who cannot reach the shelf stands on a chair."),
        ("slap", S, "An assistant hands over a towel."),
    ],
    "leaked_instruction": [
        ("write", T, "The pen writes a short sentence on the line."),
        ("write", S, "A list of numbers fills a sheet of paper."),
        ("skydive", S, "Jumpers hold hands in a star formation."),
        ("write", S, "Words are printed in the output tray of a copier."),
        ("act", T, "Do not bend the knees as the arms swing."),
        ("write", T, "Write three letters on the board with chalk."),
        ("type", S, "A video about a finger above a keyboard."),
    ],
    "no_answer": [
        ("wave", S, "Great waves break over a pier."),
        ("wave", S, "Sure hands catch a rope."),
        ("wave", S, "An icy road leads to a farm."),
        ("wave", T, "What was folded is opened again."),
        ("wave", S, "A string of lights hangs on a wall."),
    ],
    "template_debris": [
        ("wave", S, "A class of children waves at a bus."),
        ("put something", T, STEP.format("put something into something", "the lid is opened")),
        ("wave", T, "The object is lifted off a table."),
        ("climb stairs", T, "The left foot lands on the first step."),
    ],
    "numbering": [
        ("wave", S, "2 hands reach over a fence."),
        ("dance", T, "Step forward with the left foot."),
        ("dance", T, "Step one foot to the side."),
        ("dance", S, "A 3-step stool stands by a shelf."),
        ("dance", S, "I stand out by my red hat."[2:]),
    ],
    "brackets": [
        ("shoot goal (soccer)", T, STEP.format("shoot goal (soccer)", "planting the left foot")),
        ("wave", T, "Place the tools (a saw, a file) on a bench."),
    ],
    "markup": [
        ("wave", S, "A follow-through swing ends over the shoulder."),
        ("wave", S, "A black & white flag hangs over a track."),
        ("wave", S, "A price of $5 is written on a board."),
    ],
    "several_sentences": [
        ("wave", S, "A hand goes up. It turns left."),
        ("wave", T, "Tools (e.g. a saw) are laid out. A board is cut."),
    ],
    "too_short": [("wave", S, "open palms"), ("wave", T, STEP.format("wave", "lowering"))],
    "too_long": [("wave", S, "A hand waves over a long row of small, round, grey stones.")],
    "too_many_tokens": [
        ("wave", T, STEP.format("waving hand", "moving the open hand from side to side")),
    ],
    "cut_off": [
        ("wave", S, "The rail that the skater jumps onto."),
        ("cosplay", T, "Pick a hero to dress as"),
        ("wave", S, "A chair for the child to sit on"),
        ("wave", S, "The spot where the ball is."),
        ("juggle", T, "Throw the ball from hand B to hand A"),
    ],
    "bare_class_name": [
        ("stacking cups", S, "A video about stacking cups on a shelf."),
        ("stacking cups", S, "stacked cup"),
    ],
    "not_visual": [
        ("play drums", S, "A drummer strikes the cymbals with a loud crash."),
        ("play drums", S, "A video about sticks making a rattling sound."),
        ("play flute", S, "A video about sheet music on a stand."),
        ("bake bread", S, "A video about a crisp crust and a rising aroma."),
        ("taste wine", S, "The man smells the wine in a tall glass."),
        ("taste soup", T, "A spoon is lifted and she tastes the soup."),
        ("surf", S, "A video about excitement on the faces of surfers."),
        ("surf", S, "A video about the thrill of a rider racing down a steep, foaming wave."),
        ("laugh", S, "A joyful expression with raised cheeks."),
        ("archery", S, "A video about amber tones of a sunset."),
        ("archery", T, "Focus on the target and pull the string back."),
        ("run", T, "A runner on a treadmill speeds up to improve fitness."),
        ("eat cake", T, "Enjoy watching the candles burn down."),
        ("imagine", T, "Imagine holding sticks in both hands."),
        ("play game", S, "The girl in red is the winner of the game."),
        ("wave rope", T, "A wave runs from the left hand along the rope."),
    ],
    "generic": [
        ("wave", S, "A person is waving a flag."),
        ("march", S, "A video about synchronized swaying motions."),
        ("wave", S, "A video about smooth hand movements."),
        ("wave", T, STEP.format("wave", "repeating the swing")),
        ("golf", T, STEP.format("golf", "the follow-through")),
        ("walk", S, "A slow, circular motion."),
    ],
    "kind_confusion": [
        ("mop floor", T, "The floor is wiped in long strokes."),
        ("paint fence", T, "The fence is painted with a wide brush."),
        ("climb stairs", S, "The first step of a wooden staircase."[4:]),
        ("dress", T, "Put on the helmet and the gloves."),
        ("wave", S, "A person next to a fence waves."),
    ],
}


def verdict(name, kind, text, **limits):
    sentence = Sentence(class_id=0, class_name=name, readable=name, kind=kind, text=text)
    return judge([sentence], RuleConfig(**limits))[0]


def cases(table):
    return [pytest.param(rule, *case) for rule, group in table.items() for case in group]


@pytest.mark.parametrize(("rule", "name", "kind", "text"), cases(CAUGHT))
def test_the_rule_catches(rule, name, kind, text):
    found = verdict(name, kind, text)
    assert found.rule == rule, found
    assert found.detail


@pytest.mark.parametrize(("rule", "name", "kind", "text"), cases(KEPT))
def test_the_near_miss_is_kept(rule, name, kind, text):
    found = verdict(name, kind, text)
    assert found.rule is None, found


def test_every_rule_over_one_sentence_has_both_kinds_of_example():
    elsewhere = {"prompt_echo", "class_name"}  # they need a prompt, or a policy: see below
    names = {rule.name for rule in RULES if rule.check} - elsewhere
    assert names == set(CAUGHT) == set(KEPT)


PROMPT = """You write captions. Every sentence says only what a camera can see.

Action: sawing a plank
{"sentences": ["A long saw rests in a groove of a pale plank.", "Dust lies under the bench."]}

Write 2 sentences that describe how an action looks in one frame.
Action: tune piano"""


@pytest.mark.parametrize(
    "text",
    [
        "A long saw rests in a groove of a pale plank.",
        "a long saw resting in the groove of a pale plank",
        "The long saw rests in a pale groove.",
        "Every sentence says only what a camera sees.",
        "Pale dust lies in a groove under a plank.",  # put together from two examples
    ],
)
def test_a_copy_of_the_prompt_is_an_echo(text):
    sentence = Sentence(
        class_id=0, class_name="x", readable="tune piano", kind=S, text=text, prompt=PROMPT
    )
    found = judge([sentence], RuleConfig())[0]
    assert (found.rule, found.detail[:15]) == ("prompt_echo", "the prompt says")


@pytest.mark.parametrize(
    "text",
    [
        "A hand turns a lever on a long string inside a piano.",
        "Hammers and strings lie bare under the raised lid.",
        "A pale hand lies on the keys.",
        "tuning a piano on a stage",
        "A long piano rests in a pale hall.",  # much of the example, but about this class
    ],
)
def test_a_sentence_about_the_class_is_no_echo(text):
    sentence = Sentence(
        class_id=0, class_name="x", readable="tune piano", kind=S, text=text, prompt=PROMPT
    )
    assert judge([sentence], RuleConfig())[0].rule is None


def test_saying_the_class_name_that_the_prompt_says_is_no_echo():
    name = "poking a stack of something so the stack collapses"
    sentence = Sentence(
        class_id=0,
        class_name=name,
        readable=name,
        kind=T,
        text="A finger is poking a stack of something so the stack collapses.",
        prompt=f"Please give me 2 sentences describing the action {name}.",
    )
    assert judge([sentence], RuleConfig())[0].rule is None


@pytest.mark.parametrize(
    ("policy", "rule", "flags"),
    [("allow", None, ()), ("flag", None, ("class_name",)), ("reject", "class_name", ())],
)
@pytest.mark.parametrize("text", ["A man is brushing hair.", "A brushed hair."])
def test_the_class_name_policy_sees_the_name_in_any_inflection(policy, rule, flags, text):
    found = verdict("brush hair", S, text, class_name=policy)
    assert (found.rule, found.flags) == (rule, flags)


@pytest.mark.parametrize("text", ["A brush lies beside long hair.", "A hairy dog is brushed."])
def test_parts_of_the_class_name_are_no_class_name(text):
    assert verdict("brush hair", S, text, class_name="reject").rule is None


def test_a_sentence_that_mentions_something_unseen_is_kept_with_a_flag():
    found = verdict("play drums", S, "A drummer strikes the cymbals with a loud crash.")
    assert (found.rule, found.flags) == (None, ("mentions_unseen",))


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"max_words": 5}, "too_long"),
        ({"min_words": 8}, "too_short"),
        ({"token_budget": 8}, "too_many_tokens"),
        ({"max_sentences": 1}, "several_sentences"),
        ({"min_words": 7, "max_words": 7, "token_budget": 11, "max_sentences": 2}, None),
    ],
)
def test_the_limits_are_the_configured_ones(limits, rule):
    text = "A hand goes up. It turns left."
    assert verdict("wave", S, text, **limits).rule == rule
