"""vm.min_free_kbytes and vm.nr_hugepages: what suits a server of which size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.policy.checks.reserves import (
    HugePages,
    huge_pages,
    min_free,
    parse_huge_pages,
    right,
)
from lowmem_tui.policy.incidents.shortages import Failures
from tests.catalogs import translations

M = 1 << 20
FAILED = Failures(12, 11)
ONLY_LARGE = Failures(0, 0)


@pytest.mark.parametrize(
    ("ram", "own"),
    # The table of mm/page_alloc.c.
    [(256, 2048), (512, 2896), (1024, 4096), (2048, 5792), (4096, 8192), (16384, 16384)],
)
def test_the_kernels_own_figure(ram: int, own: int) -> None:
    fit = right(ram * M)
    assert fit.own == own
    assert fit.own < fit.good < fit.most <= ram * 1024 // 20


# Of how much RAM, KiB now, what has failed; the value proposed (None: all is well), taken.
MIN_FREE: dict[str, tuple[int, int, Failures | None, int | None, bool]] = {
    "the kernel's own, 512 MB": (512, 2896, None, None, False),
    "the kernel's own, a little less, 1 GB": (967, 3800, None, None, False),
    "the kernel's own, with huge pages, 1 GB": (967, 45056, None, None, False),
    "the kernel's own, with huge pages, 512 MB": (460, 23552, None, None, False),
    "a usual advice, 1 GB": (1024, 65536, None, None, False),
    "a usual advice, 512 MB": (460, 65536, None, 10240, False),
    "far too much": (967, 262144, None, 15360, False),
    "below what a kernel needs": (512, 512, None, 2896, True),
    "nothing": (512, 0, None, 2896, True),
    "less than the kernel's own": (1024, 2048, None, 4096, True),
    "packets were lost, 512 MB": (460, 2745, FAILED, 10240, True),
    "packets were lost, 1 GB": (1024, 4096, FAILED, 16384, True),
    "packets were lost, and it was raised": (1024, 16384, FAILED, None, False),
    "packets were lost, with huge pages": (967, 45056, FAILED, None, False),
    "packets were lost, and it is large": (967, 131072, FAILED, None, False),
    "large pieces alone": (1024, 4096, ONLY_LARGE, None, False),
}


@pytest.mark.parametrize(
    ("ram", "now", "failed", "value", "taken"), MIN_FREE.values(), ids=MIN_FREE
)
def test_what_is_kept_free(
    ram: int, now: int, failed: Failures | None, value: int | None, taken: bool
) -> None:
    found = min_free(now, ram * M, ram * M // 2, failed)
    assert (found and found.value) == (None if value is None else str(value))
    if found:
        assert found.taken is taken
        assert f"vm.min_free_kbytes is {now}: " in str(found.text)
        assert str(right(ram * M).most) in str(found.text)
        # What is proposed is right from then on.
        assert value is not None
        assert min_free(value, ram * M, ram * M // 2, failed) is None
        if failed:
            assert "have failed 12 times, 11 of them for the network" in str(found.text)


def test_more_is_not_taken_where_memory_is_scarce() -> None:
    found = min_free(2745, 460 * M, 40 * M, FAILED)
    assert found is not None
    assert not found.taken
    assert str(found.why).endswith("Memory is scarce now: something may be killed for it.")
    assert found.why.render(translations("zh_CN")) == (
        "10240（10M）会从程序和页缓存中占用 11M。目前内存紧张：可能会有程序因此被终止。"
    )


def test_one_failure_is_a_sentence_of_its_own() -> None:
    found = min_free(2745, 460 * M, 400 * M, Failures(1, 1))
    assert found is not None
    assert "(GFP_ATOMIC) has failed once, for the network: packets were lost" in str(found.text)
    other = min_free(2745, 460 * M, 400 * M, Failures(2, 0))
    assert other is not None
    assert "have failed 2 times: packets may have been lost." in str(other.text)


@given(st.integers(64, 1 << 20), st.integers(0, 1 << 30), st.integers(0, 1 << 40), st.booleans())
def test_any_server(ram: int, now: int, available: int, lost: bool) -> None:
    failed = FAILED if lost else None
    found = min_free(now, ram * M, available, failed)
    if found:
        assert min_free(int(found.value), ram * M, available, failed) is None
        assert int(found.value) * 1024 <= max(ram * M // 20, 4 * M)


MEMINFO = """\
MemTotal:         990208 kB
HugePages_Total:     {0}
HugePages_Free:      {1}
HugePages_Rsvd:      {2}
HugePages_Surp:        0
Hugepagesize:       2048 kB
Hugetlb:          262144 kB
"""


# Total, free, promised, a unit that may use them; the value proposed, taken.
HUGE: dict[str, tuple[int, int, int, str, int | None, bool]] = {
    "none": (0, 0, 0, "", None, False),
    "all in use": (128, 0, 0, "", None, False),
    "all promised": (128, 128, 128, "", None, False),
    "used by nothing": (128, 128, 0, "", 0, True),
    "used by nothing, with a database": (128, 128, 0, "postgresql.service", 0, False),
    "a part in use": (128, 28, 0, "", 100, False),
    "a part promised": (128, 128, 100, "", 100, False),
}


@pytest.mark.parametrize(
    ("total", "free", "promised", "user", "value", "taken"), HUGE.values(), ids=HUGE
)
def test_huge_pages(
    total: int, free: int, promised: int, user: str, value: int | None, taken: bool
) -> None:
    pages = parse_huge_pages(MEMINFO.format(total, free, promised))
    assert pages == HugePages(total, free, promised, 2 * M)
    found = huge_pages(pages, 967 * M, user)
    assert (found and found.value) == (None if value is None else str(value))
    if found:
        assert found.taken is taken
        assert f"vm.nr_hugepages is {total}: 256M are reserved" in str(found.text)
        assert user in str(found.why)


@pytest.mark.parametrize("text", ["", "HugePages_Total: 5\n", MEMINFO.replace("2048", "x")])
def test_a_kernel_without_huge_pages(text: str) -> None:
    assert parse_huge_pages(text) is None


@given(st.text())
def test_any_meminfo_is_read(text: str) -> None:
    parse_huge_pages(text)
    parse_huge_pages(MEMINFO.replace("{0}", text))
