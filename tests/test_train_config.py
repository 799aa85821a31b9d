"""What a run is asked for: flags, the recipes behind them, the learning rate, JSON and back."""

from dataclasses import replace
from pathlib import Path

import pytest
import tyro
from tiny_viclip import TINY

from adapt.backbone import VICLIP_B16, VICLIP_L14
from adapt.run_folder import write_json
from adapt.schedule import Schedule
from adapt.train import main, read_flags
from adapt.train_config import TrainConfig, default_name, parse_views
from adapt.train_json import from_json, to_json
from adapt.train_recipe import resolve_adapter, resolve_recipe
from adapt.train_resume import merge
from describe.errors import UserError


def parse(*args: str) -> TrainConfig:
    if "--resume" not in args and "--descriptions" not in args:
        args = (*args, "--descriptions", "v2")
    return tyro.cli(
        TrainConfig,
        args=args,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )


def test_the_rate_by_hand():
    schedule = Schedule(peak=1.0, num_steps=10, warmup_steps=4, final=0.01)
    # Up in four; at the seam the cosine has come down 4 of 10: .01 + .495 (1 + cos .4 pi).
    expected = [0.25, 0.5, 0.75, 0.657963, 0.505, 0.352037, 0.214046, 0.104537, 0.034227, 0.01]
    assert [schedule.rate(step) for step in range(10)] == pytest.approx(expected, abs=1e-6)


def test_a_warm_up_longer_than_the_run_never_reaches_the_peak():
    schedule = Schedule(peak=1.0, num_steps=2, warmup_steps=4)
    assert [schedule.rate(step) for step in range(2)] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("task", "epochs", "batch_size", "lr", "adapter"),
    [
        ("few-shot", 50, 32, 1e-3, (8, 12, 128, 0.005)),
        ("base-to-novel", 11, 32, 1e-3, (1, 12, 256, 0.005)),
        ("zero-shot", 100, 256, 8e-3, (1, 12, 128, 0.001)),
        ("supervised", 100, 256, 8e-3, (1, 12, 256, 0.001)),
    ],
)
def test_a_task_has_the_recipe_of_the_paper(task, epochs, batch_size, lr, adapter):
    config = parse("--task", task)
    recipe = resolve_recipe(config, 1000, 8)
    assert (recipe.epochs, recipe.batch_size, recipe.lr) == (epochs, batch_size, lr)
    assert (recipe.weight_decay, recipe.betas) == (1e-3, (0.9, 0.98))
    assert (recipe.warmup_epochs, recipe.final_lr, recipe.alpha) == (5, 0.01, 1.0)
    found = resolve_adapter(config, VICLIP_B16)
    assert (found.start_block, found.end_block, found.dim, found.scale) == adapter


def test_every_value_of_a_recipe_is_a_flag():
    given = {
        "epochs": "7", "batch-size": "12", "lr": "0.5", "warmup-epochs": "2.5", "final-lr": "0.2",
        "weight-decay": "0.3", "alpha": "0.4", "consistency": "kl", "temperature": "0.07",
        "seed": "9", "select": "best-on-test", "precision": "bf16",
    }  # fmt: skip
    flags = [part for name, value in given.items() for part in (f"--{name}", value)]
    recipe = resolve_recipe(parse(*flags, "--betas", "0.8", "0.9"), 25, 1)
    for name, value in given.items():
        assert str(getattr(recipe, name.replace("-", "_"))) == value
    assert recipe.betas == (0.8, 0.9)
    assert (recipe.steps_per_epoch, recipe.num_steps) == (3, 21)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--adapter", "msta-text"], {"method": "msta", "branches": "text"}),
        (["--adapter", "msta-video"], {"method": "msta", "branches": "video"}),
        (["--adapter", "msta-no-shared"], {"method": "msta", "shared": "none"}),
        (["--no-temporal"], {"method": "msta", "temporal": False}),
        (["--adapter", "lora", "--rank", "4"], {"method": "lora", "rank": 4, "lora_alpha": 4.0}),
        (["--adapter", "full"], {"method": "full"}),
        (["--dim", "64", "--start-block", "3", "--end-block", "5"], {"dim": 64, "start_block": 3}),
        (["--scale", "0.05", "--dropout", "0"], {"scale": 0.05, "dropout": 0.0}),
        (["--shared-gradients", "projected"], {"shared_gradients": "projected"}),
    ],
)
def test_an_adapter_is_what_its_flags_say(flags, expected):
    found = resolve_adapter(parse(*flags), VICLIP_B16)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_recipe_keeps_its_proportion_on_another_backbone():
    four = replace(TINY, vision_width=96, text_width=64, vision_layers=4, text_layers=4)
    few_shot = resolve_adapter(parse(), four)
    assert (few_shot.start_block, few_shot.end_block, few_shot.dim) == (1, 4, 16)
    wide = resolve_adapter(parse("--task", "base-to-novel"), four)
    assert (wide.start_block, wide.end_block, wide.dim) == (1, 4, 32)
    large = resolve_adapter(parse(), VICLIP_L14)
    assert (large.start_block, large.end_block, large.dim) == (8, 12, 128)


def test_a_configuration_survives_json():
    config = parse(
        "--dataset", "hmdb51", "--videos", "some/where", "--test-datasets", "ucf101", "k600",
        "--task", "zero-shot", "--betas", "0.8", "0.9", "--no-augment", "--prefix-cache", "kept",
        "--temperature", "None", "--filter", "text", "--flip", "0.25", "--name", "x.y",
    )  # fmt: skip
    assert from_json(TrainConfig, to_json(config)) == config
    assert config.recipe.temperature is None


def test_json_of_another_version_is_not_read():
    data = to_json(parse())
    with pytest.raises(ValueError, match="ModelOptions has no 'colour'"):
        from_json(TrainConfig, {**data, "model": {**data["model"], "colour": 1}})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--descriptions", "none", "--epochs", "0"], "--epochs is 0; it must be at least 1"),
        (["--lr", "-1"], r"--lr is -1.0; it must be a number above 0"),
        (["--batch-size", "0"], "--batch-size is 0; it must be at least 1"),
        (["--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["--warmup-epochs", "-1"], "--warmup-epochs is -1.0"),
        (["--final-lr", "2"], "--final-lr is 2.0; it is a share of lr"),
        (["--accumulate", "0"], "--accumulate is 0"),
        (["--max-bad-steps", "0"], "--max-bad-steps is 0"),
        (["--checkpoint-minutes", "0"], "--checkpoint-minutes is 0.0; it must be a number above 0"),
        (["--prefix-cache", "x"], "--prefix-cache needs --no-augment"),
        (["--views", "3"], "views are '3'; write clips x crops, such as 4x3"),
        (["--name", "a/b"], "--name is 'a/b'; use letters"),
        (["--views", "1x2"], "views are '1x2'; write clips x crops, such as 4x3, with 1 crop or 3"),
        (["--adapter", "lora", "--no-temporal"], "--no-temporal is for msta"),
        (["--adapter", "lora", "--class-token", "none"], "--class-token is for msta"),
        (["--adapter", "full", "--no-augment", "--prefix-cache", "x"], "--prefix-cache needs froz"),
        (["--lr", "nan"], "--lr is nan; it must be a number above 0"),
        (["--lr", "inf"], "--lr is inf; it must be a number above 0"),
        (["--temperature", "0"], "--temperature is 0.0; it must be a number above 0"),
        (["--alpha", "-1"], "--alpha is -1.0; it must be a number of at least 0"),
        (["--alpha", "nan"], "--alpha is nan"),
        (["--weight-decay", "-1"], "--weight-decay is -1.0; it must be a number of at least 0"),
        (["--warmup-epochs", "inf"], "--warmup-epochs is inf"),
        (["--betas", "1.5", "0.9"], "--betas are 1.5 and 0.9; each is in [0, 1)"),
        (["--checkpoint-minutes", "inf"], "--checkpoint-minutes is inf"),
        (
            ["--video-timeout", "inf"],
            "--video-timeout is inf; it must be above 0 and at most 86400",
        ),
        (["--device", "meta"], "--device is 'meta'; take cpu, cuda or cuda:1"),
        (["--device", "warp"], "--device is 'warp'; take cpu, cuda or cuda:1"),
    ],
)
def test_a_flag_that_no_run_could_use_is_one_line(flags, message, capsys):
    given = [] if "--descriptions" in flags else ["--descriptions", "v2"]
    assert main([*flags, *given]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"adapt.train: {message}")
    assert error.count("\n") == 1


def test_descriptions_have_to_be_named(capsys):
    assert main(["--dataset", "hmdb51"]) == 1
    assert "no --descriptions; give a version such as v2" in capsys.readouterr().err


def test_a_batch_is_divided_among_processes_or_refused():
    with pytest.raises(UserError, match="--batch-size is 32, over 3 processes; it must be a mult"):
        resolve_recipe(parse(), 100, 3)


def test_a_name_says_what_the_run_is():
    config = parse("--split", "2", "--no-temporal", "--seed", "3")
    assert default_name(config, "hmdb51") == "hmdb51-few-shot-16-split2-msta-no-time-v2-seed3"
    assert (
        default_name(parse("--adapter", "frozen"), "k400") == "k400-few-shot-16-frozen-none-seed0"
    )
    config = parse("--task", "base-to-novel", "--shots", "8", "--filter", "text")
    assert default_name(config, "ucf101") == "ucf101-base-to-novel-8-msta-v2-text-seed0"


def test_views_are_clips_and_crops():
    assert parse_views("10x3") == (10, 3)


def test_a_resumed_run_takes_the_machine_and_nothing_else(tmp_path):
    path = tmp_path / "x"
    flags = ("--epochs", "7", "--workers", "2", "--shots", "4", "--no-augment", "--recompute")
    stored = parse(*flags)
    write_json(path / "config.json", {"given": to_json(stored), "resolved": {}})
    write_json(path / "run.json", {"format": "adapt-run-1"})

    def resumed(*args: str) -> TrainConfig:
        return merge(stored, read_flags(["--resume", str(path), *args]))

    found = resumed("--device", "cpu", "--workers", "0", "--accumulate", "4", "--no-recompute")
    assert (found.recipe.epochs, found.machine.device, found.load.workers) == (7, "cpu", 0)
    assert (found.machine.accumulate, found.machine.recompute) == (4, False)
    assert resumed(*flags) == resumed()  # the whole command again
    for flag, value in (("lr", "0.1"), ("adapter", "lora"), ("shots", "16"), ("epochs", "None")):
        with pytest.raises(UserError, match=f"--{flag} cannot change when a run goes on"):
            resumed(f"--{flag}", value)  # 16 shots are what a new run has by default


def test_a_run_that_is_not_there_names_those_that_are(tmp_path: Path, capsys):
    (tmp_path / "runs" / "other").mkdir(parents=True)
    (tmp_path / "runs" / "other" / "run.json").write_text("{}")
    assert main(["--resume", str(tmp_path / "runs" / "on")]) == 1
    assert f"no run in {tmp_path}/runs/on; runs here: {tmp_path}/runs/other" in (
        capsys.readouterr().err
    )
