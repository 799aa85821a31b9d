"""Prompts: Jinja templates in a sandbox, and the requests they become."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from describe.classes import ActionClass
from describe.errors import UserError
from describe.paths import SHIPPED
from describe.request import KINDS, Kind, Request

if TYPE_CHECKING:
    import jinja2

# A prompt longer than this is a mistake in a template, not a prompt.
MAX_PROMPT_CHARS = 20_000

# A line of its own that begins a message of the chat.
_TURN = re.compile(r"^=== (system|user|assistant) ===$\n?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """What is asked of the model, and the key of the request that asks it.

    Small, so that a hundred thousand of them fit; `Asker.request` makes the request itself. Two
    classes with the same prompt share a key, and so a request.
    """

    key: str
    action: ActionClass
    kind: Kind
    sample: int
    confusable: str = ""
    """Readable name of a class this one collided with, which the prompt then names."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Every parameter of a request that is not its prompt. All are sent, none is left implied."""

    model: str
    revision: str
    num_sentences: int
    temperature: float
    top_p: float
    seed: int
    max_tokens: int
    frequency_penalty: float
    presence_penalty: float
    structured_output: str
    """`json_schema`, `json_object` or `off`."""

    token_field: str
    """What the API calls `max_tokens`."""

    omit: Sequence[str]
    """Fields to leave out."""

    extra_body: Mapping[str, Any]
    """Further fields of the body, such as `top_k` or `chat_template_kwargs`."""

    def body(self, messages: Sequence[Mapping[str, str]], sample: int) -> dict[str, Any]:
        """Return the body for one draw; each draw has a seed of its own."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed + sample,
            self.token_field: self.max_tokens,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "n": 1,
            "stream": False,
        }
        if self.structured_output == "json_schema":
            body["response_format"] = response_format(self.num_sentences)
        elif self.structured_output == "json_object":
            body["response_format"] = {"type": "json_object"}
        body |= self.extra_body
        return {name: value for name, value in body.items() if name not in self.omit}


def response_format(num_sentences: int) -> dict[str, Any]:
    """Return the JSON schema of a reply: exactly `num_sentences` strings.

    No `pattern` and no `uniqueItems`: servers that cannot compile them change to another decoder,
    or to none, without a word.
    """
    sentences = {
        "type": "array",
        "items": {"type": "string"},
        "minItems": num_sentences,
        "maxItems": num_sentences,
    }
    schema = {
        "type": "object",
        "properties": {"sentences": sentences},
        "required": ["sentences"],
        "additionalProperties": False,
    }
    json_schema = {"name": "sentences", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": json_schema}


def conforms(text: str, num_sentences: int) -> bool:
    """Whether a reply keeps to `response_format`, to the letter."""
    try:
        data = json.loads(text)
    except ValueError:
        return False
    if not isinstance(data, dict) or list(data) != ["sentences"]:
        return False
    sentences = data["sentences"]
    return (
        isinstance(sentences, list)
        and len(sentences) == num_sentences
        and all(isinstance(sentence, str) for sentence in sentences)
    )


class PromptSet:
    """A folder with `spatial.jinja` and `temporal.jinja`, and files that these include.

    A line `=== system ===`, `=== user ===` or `=== assistant ===` begins a message, so that
    examples can be turns of a chat, which a small model follows far better; without such a line
    the whole is one user message. Templates see `class_name` (readable), `n` (sentences asked
    for), `kind` and `confusable` (the readable name of a class that this one was mixed up with,
    else empty).

    Args:
        folder: The folder; its name is the prompt version.

    Raises:
        UserError: A template is missing or has a syntax error; the message has file and line.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = folder.name
        for kind in KINDS:
            if not (folder / f"{kind}.jinja").is_file():
                raise UserError(f"no {kind}.jinja in the prompt folder {folder}")
        self.sources = self._read_sources()

    def _read_sources(self) -> dict[str, str]:
        """File name to text, of every template in the folder."""
        sources = {}
        for path in sorted(self.folder.rglob("*.jinja")):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"cannot read {path}: {error}") from error
            sources[path.relative_to(self.folder).as_posix()] = text
        return sources

    @property
    def hash(self) -> str:
        """SHA-256 of all sources."""
        return hashlib.sha256(repr(sorted(self.sources.items())).encode()).hexdigest()

    @cached_property
    def _environment(self) -> "jinja2.Environment":
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        class Sandbox(ImmutableSandboxedEnvironment):
            """Adds a bound on what `*` and `**` may build."""

            intercepted_binops = frozenset({"*", "**"})

            def call_binop(
                self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
            ) -> Any:
                if not (isinstance(left, int | float) and isinstance(right, int | float)):
                    raise jinja2.exceptions.SecurityError("only numbers can be multiplied")
                if operator == "**":
                    raise jinja2.exceptions.SecurityError("powers are not allowed")
                return super().call_binop(context, operator, left, right)

        return Sandbox(
            loader=jinja2.FileSystemLoader(self.folder),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, variables: Mapping[str, Any]) -> str:
        """Return the text of template `name`, without white space at its ends.

        Raises:
            UserError: Undefined variable, syntax error, an include from outside the folder, an
                unsafe expression, or a prompt that is empty or too long; with file and line.
        """
        import jinja2

        text = ""
        try:
            for part in self._environment.get_template(name).generate(variables):
                text += part
                if len(text) > MAX_PROMPT_CHARS:
                    raise UserError(f"{self.folder / name}: over {MAX_PROMPT_CHARS} characters")
        except jinja2.TemplateSyntaxError as error:
            raise UserError(
                f"{self.folder / (error.name or name)}:{error.lineno}: {error.message}"
            ) from error
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as e:
            raise UserError(f"{self._where(e, name)}: {_what(e)}") from e
        if not text.strip():
            raise UserError(f"{self.folder / name}: renders to nothing for {variables}")
        return text.strip()

    def _where(self, error: BaseException, name: str) -> str:
        """`file:line` of the deepest template frame of a traceback."""
        where = str(self.folder / name)
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.endswith(".jinja"):
                where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        return where

    def messages(
        self, action: ActionClass, kind: Kind, n: int, confusable: str = ""
    ) -> list[dict[str, str]]:
        """Return the chat messages that ask for `n` sentences of `kind` about `action`."""
        variables = {
            "class_name": action.readable,
            "n": n,
            "kind": kind,
            "confusable": confusable,
        }
        return _turns(self.render(f"{kind}.jinja", variables))


def _turns(text: str) -> list[dict[str, str]]:
    """Split a rendered prompt at its `=== role ===` lines; without any it is one user message."""
    parts = _TURN.split(f"=== user ===\n{text}" if not _TURN.match(text) else text)
    roles, contents = parts[1::2], parts[2::2]
    return [
        {"role": role, "content": content.strip()}
        for role, content in zip(roles, contents, strict=True)
        if content.strip()
    ]


def _what(error: BaseException) -> str:
    import jinja2

    if isinstance(error, jinja2.TemplateNotFound):
        return f"no template {error.name!r} inside the prompt folder"
    return str(error) or type(error).__name__


def load_prompts(name_or_folder: str) -> PromptSet:
    """Return the shipped prompts of that name, else those of that folder.

    Raises:
        UserError: Neither exists.
    """
    shipped = SHIPPED / "prompts" / name_or_folder
    if "/" not in name_or_folder and shipped.is_dir():
        return PromptSet(shipped)
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return PromptSet(folder.resolve())
    known = ", ".join(sorted(p.name for p in (SHIPPED / "prompts").iterdir() if p.is_dir()))
    raise UserError(f"no prompts {name_or_folder!r}; shipped: {known}; or give a folder")


class Asker:
    """Makes asks and their requests from one prompt set and one set of parameters.

    Args:
        prompts: The templates.
        sampling: Everything else that is sent.
    """

    def __init__(self, prompts: PromptSet, sampling: Sampling) -> None:
        self.prompts = prompts
        self.sampling = sampling

    def ask(self, action: ActionClass, kind: Kind, sample: int, confusable: str = "") -> Ask:
        """Return draw number `sample` of `kind` sentences about `action`."""
        key = self._request(action, kind, sample, confusable).key
        return Ask(key=key, action=action, kind=kind, sample=sample, confusable=confusable)

    def request(self, ask: Ask) -> Request:
        """Return the request behind an ask."""
        return self._request(ask.action, ask.kind, ask.sample, ask.confusable)

    @cached_property
    def frames(self) -> dict[Kind, str]:
        """The prompts around the class name, to notice a reply that repeats them."""
        nobody = ActionClass(class_id=0, name="", readable="", group=None)
        return {
            kind: "\n".join(m["content"] for m in self._messages(nobody, kind, ""))
            for kind in KINDS
        }

    def _request(self, action: ActionClass, kind: Kind, sample: int, confusable: str) -> Request:
        body = self.sampling.body(self._messages(action, kind, confusable), sample)
        return Request(body=body, revision=self.sampling.revision, sample=sample)

    def _messages(self, action: ActionClass, kind: Kind, confusable: str) -> list[dict[str, str]]:
        return self.prompts.messages(action, kind, self.sampling.num_sentences, confusable)
