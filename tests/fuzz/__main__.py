"""`make fuzz`: each parser of foreign text with a million inputs.

Guided by coverage where atheris (PyPI) installs; else by the inputs of tests/fuzz/inputs.py.
A process for each target, as many at once as there are processors.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.inputs import LONGEST, PIECES


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--inputs", type=int, default=1_000_000)
    options.add_argument("--engine", choices=("atheris", "pieces"), default=None)
    options.add_argument("--one", metavar="NAME", help="this target, in this process")
    options.add_argument("targets", nargs="*", help="all by default")
    given, rest = options.parse_known_args()
    engine = given.engine or ("atheris" if _has_atheris() else "pieces")
    if given.one:
        return _one(given.one, given.inputs, engine, rest)
    from tests.fuzz.targets import TARGETS

    names = given.targets or list(TARGETS)
    print(f"{len(names)} targets, {given.inputs:,} inputs each, engine: {engine}", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        work = {pool.submit(_start, name, given.inputs, engine): name for name in names}
        for done in concurrent.futures.as_completed(work):
            status, count, seconds, output = done.result()
            failed += status != 0
            words = "passed" if status == 0 else "FAILED"
            print(f"{words}  {count:>11,} inputs  {seconds:6.0f} s  {work[done]}", flush=True)
            if status:
                print(output[-4000:], flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _has_atheris() -> bool:
    with contextlib.suppress(ImportError):
        import atheris  # noqa: F401

        return True
    return False


def _start(name: str, inputs: int, engine: str) -> tuple[int, int, float, str]:
    """Run one target in a process of its own; return status, count, seconds and output."""
    began = time.monotonic()
    words = [sys.executable, "-m", "tests.fuzz", "--one", name, f"--inputs={inputs}"]
    done = subprocess.run(
        [*words, f"--engine={engine}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    found = re.findall(r"^#(\d+)\s|^Done (\d+) ", done.stdout, re.MULTILINE)
    count = max((int(a or b) for a, b in found), default=0)
    status = done.returncode or (0 if count >= inputs else 1)
    return status, count, time.monotonic() - began, done.stdout


def _one(name: str, count: int, engine: str, rest: list[str]) -> int:
    if engine == "pieces":
        from tests.fuzz import inputs
        from tests.fuzz.targets import TARGETS

        for data in inputs.inputs(TARGETS[name], count, seed=1):
            try:
                inputs.check(TARGETS[name], data)
            except Exception:
                print(f"input: {data!r}")
                raise
        print(f"Done {count} inputs")
        return 0
    return _guided(name, count, rest)


def _guided(name: str, count: int, rest: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["lowmem_tui"]):
        from tests.fuzz.inputs import check
        from tests.fuzz.targets import TARGETS
    found = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(found.seeds):
            (corpus / str(number)).write_bytes(seed)
            # What is quadratic is found by length, which a fuzzer takes long to come to.
            (corpus / f"{number}-long").write_bytes(
                (seed * (LONGEST // max(1, len(seed))))[:LONGEST]
            )
        words = "".join(
            '"' + "".join(f"\\x{byte:02x}" for byte in piece) + '"\n' for piece in PIECES
        )
        Path(folder, "words").write_text(words)
        atheris.Setup(
            [name, f"-runs={count}", "-max_len=1024", "-seed=1", f"-dict={folder}/words",
             f"-artifact_prefix={folder}/", "-print_final_stats=1", *rest, str(corpus)],
            lambda data: check(found, data),
        )  # fmt: skip
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
