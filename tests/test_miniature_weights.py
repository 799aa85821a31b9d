"""The narrow file loads to the whole vocabulary; the shipped one knows something, and not all."""

from dataclasses import replace

import pytest
import torch

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.backbone import ViCLIP
from adapt.checkpoint import backbone_hash
from adapt.losses import class_logits
from adapt.miniature_classes import load_actions
from adapt.miniature_files import draw_videos, frame_times
from adapt.miniature_pairs import new_backbone, to_input
from adapt.miniature_weights import (
    BACKBONE_FILE,
    CONFIG,
    load_miniature_backbone,
    narrow_ids,
    save_miniature_backbone,
    tokens_in_use,
)
from adapt.text import embed_texts, tokenize_classes
from adapt.tokens import tokenize
from describe.errors import UserError

SHIPPED_HASH = "b1:30a21d75cfb911b1c96e49728299d1e1457d4fac12b28aa18bc2f289f73ad6cf"


@pytest.fixture(scope="module")
def shipped():
    return load_miniature_backbone()


def test_a_narrow_backbone_loads_to_the_same_embeddings(tmp_path):
    torch.manual_seed(0)
    in_use = tokens_in_use(["a star falling.", "a ball"])
    narrow = new_backbone(in_use).eval()
    save_miniature_backbone(narrow, in_use, tmp_path / "narrow.safetensors")
    wide = load_miniature_backbone(tmp_path / "narrow.safetensors")
    assert wide.config == CONFIG
    ids = tokenize(["a ball falling.", "a star", "star. a ball"]).ids
    with torch.no_grad():
        expected = narrow.encode_text(narrow_ids(ids, in_use))
        torch.testing.assert_close(wide.encode_text(ids), expected)


def test_narrow_ids_by_hand():
    in_use = torch.tensor([5, 9, 49407])
    ids = torch.tensor([[5, 7, 9, 49407, 0], [6, 49406, 10, 5, 49407]])
    assert narrow_ids(ids, in_use).tolist() == [[1, 0, 2, 3, 0], [0, 0, 0, 1, 3]]


def test_words_that_were_never_read_share_a_row(shipped):
    table = shipped.text_encoder.token_embedding.weight
    chef, kitchen, star = (int(tokenize([word]).ids[0, 1]) for word in ("chef", "kitchen", "star"))
    assert torch.equal(table[chef], table[kitchen])
    assert not torch.equal(table[chef], table[star])


def test_another_file_is_refused(tmp_path):
    from adapt.checkpoint import save_backbone

    path = tmp_path / "other.safetensors"
    save_backbone(ViCLIP(replace(CONFIG, vocab_size=10)), path)
    with pytest.raises(UserError, match="is no miniature backbone; it has no token_rows"):
        load_miniature_backbone(path)


def test_the_shipped_weights_are_small_and_the_ones_that_were_measured(shipped):
    assert BACKBONE_FILE.stat().st_size < 8_000_000
    assert backbone_hash(shipped) == SHIPPED_HASH
    assert shipped.config == CONFIG


def test_an_adapter_fits_the_shipped_backbone(shipped):
    model = AdaptedModel(shipped, AdapterConfig(start_block=1, end_block=4, dim=48))
    assert len(model.trainable_parameters()) > 0


@torch.no_grad()
def test_frozen_it_is_well_above_chance_and_well_below_all(shipped):
    actions = load_actions()
    classes = embed_texts(shipped, tokenize_classes([a.action.readable for a in actions]).ids)
    films = [draw_videos(a, "check", 6, 0, times=frame_times(8), size=48) for a in actions]
    labels = torch.arange(len(actions)).repeat_interleave(6)
    embedded = torch.cat([shipped.encode_video(to_input(film)) for film in films])
    top1 = (class_logits(embedded, classes).argmax(dim=-1) == labels).float().mean()
    assert 4 / 24 < top1 < 0.85
