"""A request to a language model, its key, and the reply that comes back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

Kind = Literal["spatial", "temporal"]
KINDS: tuple[Kind, ...] = ("spatial", "temporal")

# Names the hash and the canonical form behind a key. Change either, and this tag changes with it.
KEY_TAG = "d1:"


def canonical_json(value: object) -> str:
    """Return `value` as JSON in one form only: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """One chat completion, exactly as it is sent. The endpoint's URL is no part of it.

    Moving a server therefore costs nothing, and any change of what is sent is a new key.
    """

    body: Mapping[str, Any]
    """The JSON body of `POST /chat/completions`: model, messages, every sampling parameter."""

    revision: str = ""
    """The model's declared revision: a commit, or the fingerprint of a GGUF file."""

    sample: int = 0
    """0, 1, 2, ... tells repeated draws of one prompt apart."""

    @cached_property
    def key(self) -> str:
        """Tagged SHA-256 of the canonical JSON of body, revision and sample."""
        digest = hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()
        return KEY_TAG + digest

    @property
    def prompt(self) -> str:
        """All message texts, joined by newlines."""
        return "\n".join(str(message["content"]) for message in self.body["messages"])

    def to_json(self) -> dict[str, Any]:
        """Return what the key covers, as plain JSON data."""
        return {"body": self.body, "revision": self.revision, "sample": self.sample}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a request from `to_json`.

        Raises:
            KeyError: A field is missing.
        """
        return cls(body=data["body"], revision=data["revision"], sample=data["sample"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What the model answered, and what the server said about itself when it did."""

    text: str
    finish_reason: str = "stop"
    model: str = ""
    """The model name the server reported."""

    server: str = ""
    """The server's own description of that model (canonical JSON), to notice a replaced one."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
