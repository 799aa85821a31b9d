"""Rules that keep or reject a sentence, each with its reason. `RULES` is the whole list.

To add one: write a function in `rules_form` or `rules_content` (or `rules_sets`, if it compares
sentences), give it a line in `RULES`, and tests for what it must catch and what it must not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from describe import rules_content as content
from describe import rules_form as form
from describe import rules_sets as sets
from describe.rules_sentence import Reading, RuleConfig, Sentence, read

__all__ = ["FLAGS", "RULES", "Rule", "RuleConfig", "Sentence", "Verdict", "judge"]

Check = Callable[[Reading, RuleConfig], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules say of one sentence."""

    rule: str | None
    """The first rule that rejects it; None if it is kept."""

    detail: str = ""
    """What the rule saw, in a few words."""

    flags: tuple[str, ...] = ()
    """What is worth knowing of a sentence and is no reason to reject it."""

    confusable: str | None = None
    """The readable name of the class that has the same sentence or list."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to reject a sentence."""

    name: str
    check: Check | None
    """Looks at one sentence; None for a rule over many (see `judge`)."""

    meaning: str
    """Completes "a sentence is rejected because ...", for cards and reports."""


# In this order: the first that fires is the reason. The surest come first.
RULES: tuple[Rule, ...] = (
    Rule("control_characters", form.control_characters, "it holds invisible characters"),
    Rule("mojibake", form.mojibake, "its text was decoded wrongly"),
    Rule("wrong_script", form.wrong_script, "it holds letters that are not Latin, or pictographs"),
    Rule("refusal", content.refusal, "the model declined to answer"),
    Rule("leaked_instruction", content.leaked_instruction, "it repeats an instruction"),
    Rule("no_answer", content.no_answer, "the model talks about itself or its answer"),
    Rule("prompt_echo", content.prompt_echo, "it copies a line or an example of the prompt"),
    Rule("template_debris", form.template_debris, "it holds a placeholder that nobody filled in"),
    Rule("numbering", form.numbering, "it starts with a number, a bullet or a step's title"),
    Rule("brackets", form.brackets, "it stands in brackets, or its brackets do not match"),
    Rule("markup", form.markup, "it holds code, JSON, HTML, Markdown or an address"),
    Rule("several_sentences", form.several_sentences, "it holds a whole answer in one string"),
    Rule("too_short", form.too_short, "it has too few words"),
    Rule("too_long", form.too_long, "it has too many words"),
    Rule("too_many_tokens", form.too_many_tokens, "the text encoder could not read its end"),
    Rule("cut_off", form.cut_off, "it stops before its end"),
    Rule("bare_class_name", form.bare_class_name, "it is the class's name and nothing else"),
    Rule("not_visual", content.not_visual, "it speaks of what no camera sees"),
    Rule("generic", content.generic, "it would fit any action"),
    Rule("kind_confusion", content.kind_confusion, "it is a step, not a look, or the reverse"),
    Rule("class_name", content.class_name, "it holds the class's name, against the policy"),
    Rule("identical_list", None, "another class has the same list of sentences"),
    Rule("repeat", None, "an earlier sentence of its class says the same"),
    Rule("shared", None, "another class has the same sentence"),
)

FLAGS: dict[str, str] = {
    "class_name": "holds the class's name, and the policy is to flag that",
    "mentions_unseen": "mentions a sound, a smell, a feeling or a benefit beside what can be seen",
}


def judge(sentences: Sequence[Sentence], config: RuleConfig) -> list[Verdict]:
    """Judge every sentence alone, then all together.

    The rules over many sentences look at those that no rule has rejected yet, so that a poor
    sentence can spoil no good one; only whether two lists are identical is asked of whole lists.

    Returns:
        One verdict a sentence, in order. The same input always gives the same verdicts.
    """
    verdicts = [_judge_alone(read(sentence), config) for sentence in sentences]
    _reject(verdicts, sentences, "identical_list", sets.shared_lists(sentences))
    _reject(verdicts, sentences, "repeat", sets.repeats(sentences, _kept(verdicts)))
    _reject(verdicts, sentences, "shared", sets.shared_sentences(sentences, _kept(verdicts)))
    return verdicts


def _judge_alone(reading: Reading, config: RuleConfig) -> Verdict:
    for rule in RULES:
        if rule.check is not None and (detail := rule.check(reading, config)) is not None:
            return Verdict(rule=rule.name, detail=detail)
    flags = []
    if config.class_name == "flag" and content.holds_class_name(reading):
        flags.append("class_name")
    if content.mentions_unseen(reading):
        flags.append("mentions_unseen")
    return Verdict(rule=None, flags=tuple(flags))


def _kept(verdicts: Sequence[Verdict]) -> list[int]:
    return [index for index, verdict in enumerate(verdicts) if verdict.rule is None]


def _reject(
    verdicts: list[Verdict],
    sentences: Sequence[Sentence],
    rule: str,
    collisions: Iterable[tuple[int, int]],
) -> None:
    """Write down collisions (a sentence, and the one it collides with), where still kept."""
    for index, other in list(collisions):
        if verdicts[index].rule is None:
            stranger = sentences[other].class_id != sentences[index].class_id
            verdicts[index] = replace(
                verdicts[index],
                rule=rule,
                detail=sentences[other].readable if stranger else sentences[other].text,
                confusable=sentences[other].readable if stranger else None,
            )
