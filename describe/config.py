"""What one `python -m describe` run is asked to do. Every flag is a field here."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from describe.dataset import SECRET_NAME
from describe.errors import UserError
from describe.pacing import PaceConfig
from describe.rules import RuleConfig
from describe.send import SendConfig
from describe.versions import VERSION_NAME

# Fields of a request that have flags of their own, or that reading the reply relies on.
OWN_FIELDS = frozenset(
    """
    frequency_penalty max_tokens messages model n presence_penalty response_format seed stream
    max_completion_tokens temperature top_p
    """.split()
)
MOST = 10**9


# What --edits goes with: it asks no model, so that nothing else would be of effect.
WITH_EDITS = frozenset({"classes", "dataset", "dry_run", "edits", "out", "subset", "version"})

# Fields that no request can be without.
NEEDED_FIELDS = frozenset({"messages", "model"})


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Describe every class of a dataset, once as it looks and once as it unfolds."""

    dataset: str | None = None
    """A shipped class list (hmdb51, k400, k600, miniature, ssv2, ucf101); with --classes, the
    set's name."""

    classes: Path | None = None
    """Your own class list: text (a name a line), CSV, JSON, or a folder of class folders."""

    subset: str | None = None
    """Only these classes: base, novel, zero_shot_1 (to 3, k600), or names parted by `;`."""

    prompts: str = "v1"
    """Shipped prompts (v1, paper), or a folder with spatial.jinja and temporal.jinja."""

    num_descriptions: int = 2
    """Sentences a class gets of each kind (the paper's N)."""

    num_sentences: int = 2
    """Sentences asked for in one request; N of them take N / this many requests."""

    rounds: int = 3
    """Most rounds of top-up for classes that the rules left short; 0: none."""

    model: str | None = None
    """Model name to send; without --base-url, of the API that OPENAI_API_KEY belongs to."""

    base_url: tuple[str, ...] = ()
    """OpenAI-compatible endpoint, such as http://localhost:8000/v1; several share the work."""

    vllm: str | None = None
    """Start a vLLM server with this model (a hub name or a folder), and stop it at the end."""

    vllm_args: str = ""
    """Further arguments of that server, as one string after an equals sign:
    --vllm-args="--tensor-parallel-size 2"."""

    vllm_python: str | None = None
    """Python that has vllm installed; by default, the one that runs this."""

    gguf: Path | None = None
    """GGUF file for the embedded model (default: SmolLM2-135M-Instruct)."""

    revision: str = ""
    """The model's revision, if you know it; a change of it asks everything again."""

    temperature: float = 0.7
    """Sampling temperature, in [0, 2]."""

    top_p: float = 0.95
    """Nucleus sampling, in (0, 1]."""

    seed: int = 0
    """Seed of the first draw; draw i gets seed + i."""

    max_tokens: int | None = None
    """Most tokens of a reply; by default 64, and 48 more a sentence. Thinking models need more."""

    frequency_penalty: float = 0.0
    """In [-2, 2]."""

    presence_penalty: float = 0.0
    """In [-2, 2]."""

    structured_output: Literal["json_schema", "json_object", "off"] = "json_schema"
    """How the server is held to the JSON form."""

    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the API calls the limit of a reply; OpenAI's newer models take the second."""

    omit: tuple[str, ...] = ()
    """Fields to leave out of every request, for servers that refuse them, such as seed."""

    extra_body: str = "{}"
    """Further fields of every request, as JSON: '{"top_k": 40}'."""

    cache: Literal["use", "refresh", "only"] = "use"
    """use: ask only what is not stored; refresh: ask all again; only: send nothing."""

    retry_failures: bool = False
    """Ask again what was cut short, filtered or too long in a former run."""

    concurrency: int = 64
    """Most requests in flight to one endpoint; fewer are used where more would only queue."""

    request_timeout: float = 180.0
    """Seconds that one reply may take."""

    deadline: float | None = None
    """Seconds after which nothing more is sent."""

    ready_timeout: float = 900.0
    """Seconds that a vLLM server may take to start, or any server to stop asking us to wait."""

    class_name: Literal["allow", "flag", "reject"] = "allow"
    """What to do with a sentence that contains the name of its class."""

    max_words: int = RuleConfig.max_words
    """Most words of a sentence."""

    token_budget: int = RuleConfig.token_budget
    """Most CLIP tokens of a sentence; ViCLIP's text encoder reads no more than 32."""

    version: str | None = None
    """Name of the version to write; by default the next free one: v1, v2, ..."""

    out: Path | None = None
    """Folder of the set; by default sets/<dataset> in the workspace (DESCRIBE_HOME), or
    sets/<dataset>_<subset>."""

    edits: bool = False
    """Send nothing: make a version of the newest one as people edited it (describe.browse)."""

    dry_run: bool = False
    """Send nothing: say what would be sent, why, and what it would cost."""

    price: tuple[float, float] | None = None
    """Price of a million prompt tokens and a million reply tokens, for --dry-run."""

    export_batch: Path | None = None
    """Write what is missing as a file for the OpenAI Batch API, and send nothing."""

    import_batch: tuple[Path, ...] = ()
    """Store the replies of such a batch, then go on without sending."""

    show: int = 0
    """Print this many of the sentences at the end, kept and rejected."""

    def __post_init__(self) -> None:
        """Refuse values no run could use, before anything is paid for."""
        if self.dataset is None and self.classes is None:
            raise UserError("give --dataset NAME, or your own list with --classes FILE")
        for flag, value, low, high in (
            ("num-descriptions", self.num_descriptions, 1, 64),
            ("num-sentences", self.num_sentences, 1, 64),
            ("rounds", self.rounds, 0, 20),
            ("temperature", self.temperature, 0, 2),
            ("frequency-penalty", self.frequency_penalty, -2, 2),
            ("presence-penalty", self.presence_penalty, -2, 2),
            ("concurrency", self.concurrency, 1, 4096),
            ("max-tokens", self.reply_tokens, 1, MOST),
            ("request-timeout", self.request_timeout, 1, MOST),
            ("ready-timeout", self.ready_timeout, 0, MOST),
            ("deadline", 1 if self.deadline is None else self.deadline, 0, MOST),
            ("price", min(self.price or (0,)), 0, MOST),
            ("show", self.show, 0, MOST),
        ):
            if not low <= value <= high:
                raise UserError(f"--{flag} is {value}; it must be in [{low}, {high}]")
        if not 0 < self.top_p <= 1:
            raise UserError(f"--top-p is {self.top_p}; it must be in (0, 1]")
        if self.vllm and (self.base_url or self.gguf):
            raise UserError("--vllm starts its own server; leave out --base-url and --gguf")
        if self.gguf and (self.base_url or self.model):
            raise UserError("--gguf is the embedded model; leave out --base-url and --model")
        if needed := sorted(NEEDED_FIELDS.intersection(self.omit)):
            raise UserError(f"--omit {needed[0]}: no request can be without it")
        if self.version is not None and not VERSION_NAME.fullmatch(self.version):
            raise UserError(f"--version {self.version!r} cannot name a version; write v2, say")
        if self.edits and (idle := self._idle_with_edits()):
            raise UserError(f"--edits sends nothing and takes no --{idle[0].replace('_', '-')}")
        _ = self.extra_fields
        _ = self.rules

    def _idle_with_edits(self) -> list[str]:
        """Return the fields that were set and that --edits does not read."""
        given = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        return [name for name in given if name not in WITH_EDITS]

    @property
    def extra_fields(self) -> dict[str, Any]:
        """`extra_body` as a mapping."""
        try:
            fields = json.loads(self.extra_body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise UserError(f"--extra-body is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise UserError("--extra-body is not a JSON object, such as '{\"top_k\": 40}'")
        if secret := [name for name in fields if SECRET_NAME.search(name)]:
            raise UserError(f"--extra-body has {secret[0]}; a key goes into OPENAI_API_KEY")
        if taken := sorted(OWN_FIELDS & fields.keys()):
            raise UserError(f"--extra-body may not set {', '.join(taken)}: that has its own flag")
        return fields

    @property
    def reply_tokens(self) -> int:
        """The `max_tokens` of every request."""
        return 64 + 48 * self.num_sentences if self.max_tokens is None else self.max_tokens

    @property
    def requests_a_slot(self) -> int:
        """Requests of the first round for one class and kind."""
        return -(-self.num_descriptions // self.num_sentences)

    @property
    def may_send(self) -> bool:
        """Whether anything may be sent at all."""
        return self.cache != "only" and not (self.import_batch or self.dry_run or self.export_batch)

    @property
    def rules(self) -> RuleConfig:
        """The rules' limits."""
        return RuleConfig(
            class_name=self.class_name, max_words=self.max_words, token_budget=self.token_budget
        )

    @property
    def sending(self) -> SendConfig:
        """How requests are sent."""
        return SendConfig(
            pace=PaceConfig(max_concurrency=self.concurrency, give_up_s=self.ready_timeout),
            request_timeout_s=self.request_timeout,
            deadline_s=self.deadline,
        )
