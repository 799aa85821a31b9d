"""Pre-training: its loss against a plain loop, its repeatability, and the command from outside."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adapt.miniature_pairs import Pairs, contrastive_loss, likeness_loss
from adapt.miniature_pretrain import main
from adapt.miniature_weights import load_miniature_backbone

ROOT = Path(__file__).parent.parent


def test_the_loss_is_that_of_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    videos, texts = torch.randn(2, 4, 5, generator=generator)
    fits = torch.eye(4, dtype=torch.bool)
    fits[0, 2] = fits[3, 1] = True

    def mean_cross_entropy(rows, columns, fits):
        total = 0.0
        for row, is_fit in zip(rows, fits, strict=True):
            cosines = [float(torch.cosine_similarity(row, column, dim=0)) for column in columns]
            whole = math.log(sum(math.exp(cosine / 0.1) for cosine in cosines))
            wanted = [whole - c / 0.1 for c, fit in zip(cosines, is_fit, strict=True) if fit]
            total += sum(wanted) / len(wanted)
        return total / len(rows)

    expected = (
        mean_cross_entropy(videos, texts, fits) + mean_cross_entropy(texts, videos, fits.T)
    ) / 2
    assert contrastive_loss(videos, texts, fits, 0.1).item() == pytest.approx(expected, rel=1e-5)


def test_captions_that_contradict_each_other_cost_what_their_cosine_exceeds_the_half_by():
    texts = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])  # cosines 0.6, 0 and 0.8
    contradicts = torch.ones(3, 3, dtype=torch.bool).fill_diagonal_(False)
    expected = (0.1**2 + 0.3**2) / 2
    assert likeness_loss(texts, contradicts).item() == pytest.approx(expected, rel=1e-5)
    contradicts[1, 2] = contradicts[2, 1] = False
    assert likeness_loss(texts, contradicts).item() == pytest.approx(0.1**2, rel=1e-5)
    assert likeness_loss(texts, torch.zeros(3, 3, dtype=torch.bool)).item() == 0


def test_a_batch_is_a_function_of_seed_and_step():
    pairs, again, other = (Pairs(96, 0.15, seed) for seed in (1, 1, 2))
    mine, same = pairs.batch(3, 8), again.batch(3, 8)
    for name in ("videos", "tokens", "fits", "contradicts"):
        assert torch.equal(getattr(mine, name), getattr(same, name))
    assert not torch.equal(mine.videos, pairs.batch(4, 8).videos)
    assert not torch.equal(mine.videos, other.batch(3, 8).videos)


def test_every_video_fits_its_own_caption():
    batch = Pairs(96, 0.15, 1).batch(0, 16)
    assert batch.fits.diagonal().all()
    assert not batch.fits.all()


def test_no_video_fits_two_captions_that_contradict_each_other():
    batch = Pairs(96, 0.15, 1).batch(0, 16)
    assert batch.contradicts.any()
    both = batch.fits[:, :, None] & batch.fits[:, None, :]  # (video, caption, caption)
    assert not (both & batch.contradicts).any()


def test_the_command_leaves_weights_that_load(tmp_path):
    path = tmp_path / "tiny.safetensors"
    flags = ["--steps", "2", "--pool", "32", "--batch", "8", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "adapt.miniature_pretrain", "--out", str(path), *flags],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    backbone = load_miniature_backbone(path)
    assert all(parameter.isfinite().all() for parameter in backbone.parameters())


def test_a_batch_larger_than_the_pool_is_refused(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "x"), "--pool", "16"]) == 1
    assert "--batch is 64; it must be from 2 to --pool (16)" in capsys.readouterr().err
