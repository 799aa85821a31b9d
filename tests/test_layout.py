"""The architecture and the README, as tests: imports point one way, claims are true."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import commands as command_docs
import pytest

from describe.rules import RULES

ROOT = Path(__file__).parent.parent
FORBIDDEN = {"describe": {"adapt", "torch", "tests"}, "adapt": {"tests"}}
CACHE_HANDS_OVER = ("cache", "describe/cache_command.py")
ADAPT_MAY_USE = {"classes", "dataset", "errors", "escape", "paths", "terminal", "tokens"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_point_one_way(package):
    for path in modules(package):
        wrong = {name.split(".")[0] for name in imports(path)} & FORBIDDEN[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_adapt_takes_from_describe_only_what_is_meant_for_it():
    for path in modules("adapt"):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("describe.")}
        assert used <= ADAPT_MAY_USE, f"{path.relative_to(ROOT)} imports {used - ADAPT_MAY_USE}"


def readme_tree() -> list[str]:
    """Return the paths in the README's tree, in its order."""
    tree = re.search(r"```text tree\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tree, "README.md has no block ```text tree"
    shown, folder = [], ""
    for line in tree[1].splitlines():
        name = line.strip().split("  ")[0]
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
        shown.append(folder + name if line.startswith(" ") else name)
    return shown


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_file_imports_only_what_stands_before_it_in_the_readme(package):
    place = {path: i for i, path in enumerate(readme_tree())}
    for path in modules(package):
        here = path.relative_to(ROOT).as_posix()
        for name in sorted(imports(path)):
            # `python -m describe.cache` hands over to its command; that is no dependency.
            used = name.replace(".", "/") + ".py"
            if not name.startswith(f"{package}.") or (path.stem, used) == CACHE_HANDS_OVER:
                continue
            assert place[used] < place[here], f"{here} imports {used}, which stands after it"


@pytest.mark.parametrize("folder", ["data", "prompts"])
def test_text_folders_hold_no_code(folder):
    assert not list((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_files_and_functions_stay_small(package):
    for path in modules(package):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{path.relative_to(ROOT)} is longer than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno
                assert length <= 60, f"{path.relative_to(ROOT)}: {node.name} has {length} lines"


def tracked() -> set[str]:
    done = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return set(done.stdout.split("\n")) - {""}


def test_the_tree_in_the_readme_is_the_tree():
    shown = set(readme_tree())
    code = {
        path
        for path in tracked()
        if re.fullmatch(r"(describe|adapt)/\w+\.py", path) and not path.endswith("__init__.py")
    }
    assert code <= shown, f"not in the README's tree: {sorted(code - shown)}"
    gone = {path for path in shown if not (ROOT / path).exists()}
    assert not gone, f"in the README's tree, but gone: {sorted(gone)}"


def test_the_help_in_the_docs_is_the_help():
    assert command_docs.DOC.read_text(encoding="utf-8") == command_docs.document(), (
        "run python tests/support/commands.py --write"
    )


def test_every_flag_in_the_readme_exists():
    text = (ROOT / "README.md").read_text()
    helps = {name: command_docs.help_of(name) for name in command_docs.COMMANDS}
    for command, rest in re.findall(r"python -m ((?:describe|adapt)[.\w]*)((?: [^\n`#|]*)?)", text):
        for flag in re.findall(r"--[a-z][a-z-]+", rest):
            assert flag in helps[command], f"python -m {command} has no {flag}"


def test_the_wheel_holds_two_packages_with_prompts_and_data_inside(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"describe", "adapt"}
    assert "describe/data/hmdb51/classes.tsv" in names
    assert "describe/prompts/v1/spatial.jinja" in names
    assert "describe/data/miniature/backbone.safetensors" in names
    pages = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/page/*")}
    assert pages
    assert pages <= set(names)


def test_every_rule_is_in_the_docs():
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    missing = [f"`{rule.name}` | {rule.meaning}" for rule in RULES]
    assert [line for line in missing if line not in text] == []
