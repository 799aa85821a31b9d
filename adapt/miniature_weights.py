"""The miniature backbone: a file that keeps only the token rows in use.

CLIP's vocabulary has 49,408 tokens; captions of the miniature world use some 150 of them. The file
has those rows and one more, which all other tokens share: the row that was trained in place of
tokens hidden in captions, so that a word that the backbone has never read says nothing in
particular, not something random.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from adapt.backbone import ViCLIP, ViCLIPConfig
from adapt.tokens import tokenize
from adapt.weight_files import read_weights, write_safetensors
from describe.errors import UserError
from describe.paths import SHIPPED

BACKBONE_FILE = SHIPPED / "data" / "miniature" / "backbone.safetensors"

TABLE = "text_encoder.token_embedding.weight"
ROWS = "token_rows"
IDS = "token_ids"

CONFIG = ViCLIPConfig(
    image_size=48, patch_size=16, vision_width=96, vision_layers=4, vision_heads=4, embed_dim=64,
    text_width=64, text_layers=4, text_heads=4,
)  # fmt: skip


def load_miniature_backbone(path: Path = BACKBONE_FILE) -> ViCLIP:
    """Load the shipped backbone with its whole vocabulary.

    Raises:
        UserError: The file cannot be read or is no miniature backbone.
    """
    file = read_weights(path)
    state = dict(file.state)
    if not {ROWS, IDS} <= set(state) or "config" not in file.metadata:
        raise UserError(f"{path} is no miniature backbone; it has no {ROWS}")
    config = ViCLIPConfig(**json.loads(file.metadata["config"]))
    rows, ids = state.pop(ROWS), state.pop(IDS)
    state[TABLE] = widen(rows, ids, config.vocab_size)
    with torch.device("meta"):
        backbone = ViCLIP(config)
    backbone.load_state_dict(state, assign=True)
    return backbone.requires_grad_(True).eval()


def save_miniature_backbone(
    narrow: ViCLIP, ids: Tensor, path: Path, vocab_size: int = CONFIG.vocab_size
) -> None:
    """Write a backbone whose token table has the rows in use.

    Args:
        narrow: Row 0 of its table is for unknown tokens, row 1 + i for token `ids[i]`.
        ids: (n,) ascending token ids.
        path: The file.
        vocab_size: Of the loaded backbone.
    """
    state = dict(narrow.state_dict())
    state[ROWS] = state.pop(TABLE)
    state[IDS] = ids
    config = {**asdict(narrow.config), "vocab_size": vocab_size}
    write_safetensors(path, state, {"config": json.dumps(config)})


def widen(rows: Tensor, ids: Tensor, vocab_size: int) -> Tensor:
    """Return the whole table, (vocab_size, D): row 0 wherever a token has none of its own."""
    table = rows[:1].repeat(vocab_size, 1)
    table[ids] = rows[1:]
    return table


def tokens_in_use(texts: Sequence[str]) -> Tensor:
    """Return the ascending ids of all tokens of `texts`, start and end included; (n,)."""
    ids = tokenize(texts).ids
    ends = ids.argmax(dim=-1, keepdim=True)
    in_use: Tensor = torch.unique(ids[torch.arange(ids.shape[1]) <= ends])
    return in_use


def narrow_ids(ids: Tensor, in_use: Tensor) -> Tensor:
    """Map token ids to rows of the narrow table; the order of ids is kept, unknown ones are 0."""
    places = torch.searchsorted(in_use, ids).clamp(max=len(in_use) - 1)
    return torch.where(in_use[places] == ids, places + 1, 0)
