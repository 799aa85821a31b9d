"""A run's files, damaged and whole: checkpoints, metrics, and what is read of a folder."""

import json
import resource
from pathlib import Path

import pytest
import torch
from tiny_viclip import clips, prompt_tokens, tiny_backbone

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.run_folder import open_run, write_json
from adapt.step import StepConfig, accumulate_gradients
from adapt.train_checks import all_finite, check_gradients, unreached
from adapt.train_log import MetricsLog
from adapt.train_state import Progress, load_checkpoint, save_checkpoint, seed_step
from describe.errors import UserError

SMALL = {"start_block": 2, "end_block": 3, "dim": 8, "scale": 0.1, "dropout": 0.0}
MANIFEST = {"format": "adapt-run-1", "status": "stopped", "lists": {"train": {}, "test": {}}}


def model_and_optimizer(seed: int = 0, **config) -> tuple[AdaptedModel, torch.optim.AdamW]:
    torch.manual_seed(seed)
    model = AdaptedModel(tiny_backbone(), AdapterConfig(**{**SMALL, **config})).train()
    return model, torch.optim.AdamW(model.trainable_parameters(), lr=0.01)


def backward(model: AdaptedModel, **step) -> None:
    prompts = model.prepare_prompts(prompt_tokens())
    labels = torch.tensor([0, 4, 2])
    accumulate_gradients(model, prompts, [], clips(), labels, StepConfig(**step))


def move(model: AdaptedModel, optimizer: torch.optim.AdamW) -> None:
    backward(model)
    optimizer.step()
    optimizer.zero_grad()


def test_a_checkpoint_restores_weights_optimizer_and_counters(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    model, optimizer = model_and_optimizer()
    move(model, optimizer)
    progress = Progress(steps=1, skipped=2, log_bytes=3, best_epoch=1, epoch_classification=0.1)
    save_checkpoint(path, model, optimizer, progress)
    other, its_optimizer = model_and_optimizer(seed=1)
    assert load_checkpoint(path, other, its_optimizer) == progress
    move(model, optimizer)
    move(other, its_optimizer)  # the second step needs the moments of the first
    for one, two in zip(model.trainable_parameters(), other.trainable_parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path):  # failure 37
    path = tmp_path / "checkpoint.safetensors"
    model, optimizer = model_and_optimizer()
    save_checkpoint(path, model, optimizer, Progress(steps=1))
    before, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    move(model, optimizer)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limit[1]))
    try:
        with pytest.raises(UserError, match=f"cannot write {path}: File too large"):
            save_checkpoint(path, model, optimizer, Progress(steps=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_of_another_adapter_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *model_and_optimizer(), Progress())
    with pytest.raises(UserError, match=r"text_down.weight is \[8, 16\], expected \[4, 16\]"):
        load_checkpoint(path, *model_and_optimizer(dim=4))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="checkpoint.safetensors is damaged or cut short"):
        load_checkpoint(path, *model_and_optimizer())


def test_dropout_is_drawn_by_seed_step_and_process():
    def draw(*key: int) -> list[float]:
        seed_step(*key)
        return torch.rand(3).tolist()

    assert draw(0, 1, 0) == draw(0, 1, 0)
    assert len({tuple(draw(*key)) for key in [(0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 1)]}) == 4


def test_the_log_goes_on_where_the_checkpoint_stood(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.write("step", 1, loss=2.0)
    kept = log.sync()
    log.write("step", 2, loss=float("nan"))
    log.close()
    assert json.loads(path.read_text().splitlines()[1])["loss"] == "nan"
    with path.open("a") as file:
        file.write('{"event": "st')
    log = MetricsLog(path, kept)
    log.write("step", 2, loss=1.0)
    log.close()
    assert [json.loads(line)["loss"] for line in path.read_text().splitlines()] == [2.0, 1.0]


def test_a_log_that_was_cut_knows_its_size_before_the_first_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    log = MetricsLog(path, 9)
    assert log.sync() == 9
    log.close()
    MetricsLog(path, 1000).close()  # someone cut the file: it is not made longer by zeros
    assert path.read_text() == '{"a": 1}\n'


def run_with(tmp_path: Path, **changes) -> Path:
    write_json(tmp_path / "run" / "run.json", {**MANIFEST, **changes})
    return tmp_path / "run"


def test_a_last_line_that_was_cut_is_left_out_and_another_is_named(tmp_path):
    path = run_with(tmp_path)
    (path / "metrics.jsonl").write_text('{"event": "step"}\n{"event": "ep')
    assert open_run(path).metrics() == [{"event": "step"}]
    (path / "metrics.jsonl").write_text('{"event": \n{"event": "epoch"}\n')
    with pytest.raises(UserError, match="metrics.jsonl, line 1: not JSON"):
        open_run(path).metrics()


def test_what_is_no_run_says_which_there_are(tmp_path):
    run_with(tmp_path)
    with pytest.raises(UserError, match=f"no run in {tmp_path}/other; runs here: {tmp_path}/run"):
        open_run(tmp_path / "other")
    with pytest.raises(UserError, match=f"no run in {tmp_path}; runs here: {tmp_path}/run"):
        open_run(tmp_path)
    with pytest.raises(UserError, match="runs here: none"):
        open_run(tmp_path / "some" / "where")


def test_the_name_of_a_run_is_enough(tmp_path, monkeypatch):
    run_with(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    assert open_run(Path("run")).path == Path("runs/run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "run.json is damaged"),
        ("[]", "run.json holds no JSON object"),
        ('{"format": "adapt-run-9"}', "has format 'adapt-run-9'; this program reads adapt-run-1"),
    ],
)
def test_a_damaged_manifest_is_one_line(tmp_path, text, message):
    (run_with(tmp_path) / "run.json").write_text(text)
    with pytest.raises(UserError, match=message):
        open_run(tmp_path / "run")


def test_what_a_run_does_not_have_is_said(tmp_path):
    run = open_run(run_with(tmp_path))
    with pytest.raises(UserError, match="run run has no list 'val'; it has: train, test"):
        run.read_list("val")
    with pytest.raises(UserError, match=r"no adapter yet \(stopped\); go on with `python -m adapt"):
        run.adapter_path()
    (run.path / "adapter.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="run run selected no best epoch; take the last"):
        run.adapter_path("best")
    (run.path / "config.json").write_text('{"given": {"colour": 1}}')
    with pytest.raises(UserError, match="is not of this version of the program: TrainConfig has"):
        _ = run.config
    assert (run.results(), run.bad_videos(), run.descriptions_report()) == ({}, [], None)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"class_token": "temporal"},
        {"class_token": "none"},
        {"class_token": "none", "branches": "video"},
        {"class_token": "none", "shared": "separate"},
        {"shared": "none"},
        {"shared": "separate"},
        {"temporal": False},
        {"branches": "text"},
        {"branches": "video"},
        {"end_block": 2},
        {"shared_gradients": "balanced"},
        {"method": "lora"},
        {"method": "adaptformer"},
        {"method": "st_adapter"},
        {"method": "full"},
    ],
    ids=str,
)
def test_gradients_reach_exactly_what_should_train(config):
    model, _ = model_and_optimizer(**config)
    backward(model)
    without = {
        name for name, each in model.named_parameters() if each.requires_grad and each.grad is None
    }
    assert without == unreached(model)
    check_gradients(model)


def test_a_gradient_that_is_missing_or_too_much_is_a_defect():
    model, _ = model_and_optimizer()
    backward(model)
    parameter = model.trainable_parameters()[0]
    kept, parameter.grad = parameter.grad, None
    with pytest.raises(RuntimeError, match="1 trained parameters got no gradient, first adapter"):
        check_gradients(model)
    parameter.grad = kept
    model.backbone.temp.grad = torch.zeros_like(model.backbone.temp)
    with pytest.raises(RuntimeError, match="1 frozen parameters got a gradient, first backbone.t"):
        check_gradients(model)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_not_finite_is_seen(bad):
    tensor = torch.zeros(1000)
    assert all_finite([tensor, tensor])
    tensor[617] = bad
    assert not all_finite([torch.zeros(3), tensor])
