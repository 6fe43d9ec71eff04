"""The machines that tests are run on: one for each suite, booted side by side.

``machine`` is shared by a whole session: leave it as it was found. A test that breaks its
machine, or needs another kind, takes one from ``boot``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from . import recipe
from .image import REPOSITORY, Image, LabError, prepared
from .machine import Machine
from .screen import Screen

HERE: Final = Path(__file__).parent
SUITES: Final = os.environ.get("LOWMEM_LAB_SUITES", "").split() or list(recipe.SUITES)
"""Never none: of no suite every test would be skipped, and nothing would be shown by that."""

SEED: Final = "seed"
SEED_LEAVES: Final = (
    "test_kills.py",
    "test_restarts.py",
    "test_frozen_disk.py",
    "test_power_cut.py",
    "test_setup_c.py",
)
"""What is proved of a kernel, a disk and systemd's restarts: `seed` has those of trixie. And what
makes units of its own where `seed` has the packages'."""

Boot = Callable[..., Machine]
OpenScreen = Callable[..., Screen]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything in this folder needs the lab.

    `seed` is sampled in `make lab`: there what is not marked `sample` is `long`. What is in
    test_seed.py is its own, and no other suite's.
    """
    out = []
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.lab)
        suite = getattr(item, "callspec", None) and item.callspec.params.get("suite")  # type: ignore[attr-defined]
        if suite == SEED and item.path.name in SEED_LEAVES:
            out.append(item)
        elif suite == SEED and item.get_closest_marker("sample") is None:
            item.add_marker(pytest.mark.long)
        elif suite not in {SEED, None} and item.path.name == "test_seed.py":
            out.append(item)
    config.hook.pytest_deselected(items=out)
    gone = set(out)
    items[:] = [item for item in items if item not in gone]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the guest's console with a failure."""
    report = yield
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.failed and isinstance(machine, Machine):
        report.sections.append(("The machine's console", machine.console_tail()))
    return report


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each Debian suite in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as it is shipped, built from the work tree."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--wheel-dir", str(folder), str(REPOSITORY)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        pytest.fail(f"The program's wheel could not be built:\n{built.stderr}", pytrace=False)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def booting(
    request: pytest.FixtureRequest, wheel: Path
) -> Generator[Mapping[str, Future[Machine]], None, None]:
    """A machine on its way for every suite that some test asks for."""
    wanted = sorted(
        {
            str(item.callspec.params["suite"])
            for item in request.session.items
            if isinstance(item, pytest.Function)
            and "machine" in item.fixturenames
            and "suite" in getattr(getattr(item, "callspec", None), "params", {})
        }
    )
    with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
        futures = {
            name: pool.submit(lambda name: Machine.boot(prepared(name, wheel)), name)
            for name in wanted
        }
        yield futures
        for future in futures.values():
            if future.exception() is None:
                future.result().close()


@pytest.fixture(scope="session")
def machine(suite: str, booting: Mapping[str, Future[Machine]]) -> Generator[Machine, None, None]:
    """A booted server with the program installed."""
    try:
        booted = booting[suite].result()
    except LabError as error:
        pytest.fail(str(error), pytrace=False)
    yield booted
    booted.close()


@pytest.fixture(scope="session")
def ready_image(suite: str, wheel: Path) -> Image:
    """The disk with the program installed, to boot more machines from."""
    try:
        return prepared(suite, wheel)
    except LabError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def boot(ready_image: Image) -> Generator[Boot, None, None]:
    """Boots a machine for one test: ``boot(memory=512, swap=False)``."""
    booted: list[Machine] = []

    def another(*, memory: int = 1024, swap: bool = True, psi: bool = True) -> Machine:
        try:
            booted.append(Machine.boot(ready_image, memory=memory, swap=swap, psi=psi))
        except LabError as error:
            pytest.fail(str(error), pytrace=False)
        return booted[-1]

    yield another
    for each in booted:
        each.close()


@pytest.fixture
def screen(machine: Machine) -> Generator[OpenScreen, None, None]:
    """Opens a terminal in the shared machine: ``screen("lowmem-tui", width=80, height=24)``."""
    opened: list[Screen] = []

    def another(command: str = "lowmem-tui", **options: object) -> Screen:
        opened.append(Screen(machine, command, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield another
    for each in opened:
        each.close()
