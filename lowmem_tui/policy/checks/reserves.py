"""What the kernel keeps free, and what it keeps for huge pages: whether that suits a server. Pure.

Sources: mm/page_alloc.c (``init_per_zone_wmark_min``), mm/khugepaged.c
(``set_recommended_min_free_kbytes``), Documentation/admin-guide/sysctl/vm.rst.
"""

from __future__ import annotations

import re
from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_bytes, of_setting, of_unit, plural, sentences

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.policy.incidents.shortages import Failures

MIN_FREE = "vm.min_free_kbytes"
HUGE_PAGES = "vm.nr_hugepages"

LEAST = 1024
"""KiB. With less a kernel is "subtly broken, and prone to deadlock under high loads" (vm.rst)."""
SLACK = 0.75
"""The kernel's own figure goes by the memory that is there early on: somewhat less."""
OWN_MOST = 0.05
"""The share of RAM beyond which the kernel never goes by itself (huge pages included)."""
MOST = 0.08
"""More than this share of RAM is lost on a small server."""
REFUSED = 0.15
"""More than this share would have the kernel kill at once ("will OOM your machine instantly")."""
SPARE = 8
"""Memory that is to be kept free is taken only where so many times as much is available."""


class Range(NamedTuple):
    """How much is right to keep free for requests that cannot wait. KiB."""

    own: int
    """The kernel's own: sqrt(16 × RAM)."""
    good: int
    """Four times that: what lets a small server's network through, still about 1 to 2 % of RAM."""
    most: int
    """The kernel's own bound where huge pages are in use."""


class Advice(NamedTuple):
    """What is proposed for a value."""

    value: str
    text: Message
    """What is wrong: sentences with figures, the value's name in them."""
    why: Message
    """What the proposal is and what it costs."""
    taken: bool
    grave: bool


class HugePages(NamedTuple):
    """The huge pages of /proc/meminfo, of the default size."""

    total: int
    free: int
    reserved: int
    """Of the free ones, promised to a process."""
    size: int
    """Bytes of one."""

    @property
    def unused(self) -> int:
        """So many nobody uses, and nobody has been promised."""
        return max(0, self.free - self.reserved)


def right(ram: int) -> Range:
    """Return the range for so many bytes of RAM."""
    kib = ram >> 10
    own = min(max(isqrt(kib * 16), 128), 262144)
    most = max(int(kib * OWN_MOST), own)
    return Range(own, max(own, min(own * 4 // 1024 * 1024, most)), most)


def min_free(now: int, ram: int, available: int, failed: Failures | None) -> Advice | None:
    """Return what is wrong with vm.min_free_kbytes; None if nothing is.

    ``now`` in KiB, ``ram`` and ``available`` in bytes; ``failed`` None: not known.
    """
    fit = right(ram)
    atomic = failed.atomic if failed else 0
    # With as much as is right here, more does not help: the evidence stays when it is mended.
    if now < max(LEAST, int(fit.own * SLACK)) or (atomic and now < fit.good):
        return _more(now, ram, available, fit, failed)
    if now > ram * MOST / 1024 and not atomic:
        return _less(now, ram, fit)
    return None


def _less(now: int, ram: int, fit: Range) -> Advice:
    text = msg(
        "{key} is {now}: the kernel keeps {size} to {most} of {ram} free at all times, and no "
        "program gets that memory.",
        key=of_setting(MIN_FREE),
        now=now,
        size=_size(now),
        most=_size(now * 3 // 2),
        ram=of_bytes(ram),
    )
    why = msg(
        "{value} ({size}) frees {freed} for programs. Somebody has set it so high: if that was for "
        "a network card that lost packets, keep it.",
        value=fit.good,
        size=_size(fit.good),
        freed=_size((now - fit.good) * 3 // 2),
    )
    return Advice(
        str(fit.good),
        sentences(text, _fitting(fit, ram)),
        why,
        taken=False,
        grave=now > ram * REFUSED / 1024,
    )


def _more(now: int, ram: int, available: int, fit: Range, failed: Failures | None) -> Advice:
    atomic = failed.atomic if failed else 0
    value = fit.good if atomic else fit.own
    cost = (value - now) * 3 // 2
    taken = cost * SPARE < available >> 10
    text = msg(
        "{key} is {now}: {size} are kept free for requests of the kernel that cannot wait.",
        key=of_setting(MIN_FREE),
        now=now,
        size=_size(now),
    )
    why = msg(
        "{value} ({size}) takes {cost} from programs and the page cache.",
        value=value,
        size=_size(value),
        cost=_size(cost),
    )
    scarce = msg("Memory is scarce now: something may be killed for it.")
    return Advice(
        str(value),
        sentences(_lost(failed), text, _fitting(fit, ram)),
        sentences(why, None if taken else scarce),
        taken=taken,
        grave=bool(atomic) or now < LEAST,
    )


def _lost(failed: Failures | None) -> Message | None:
    """Return what has failed for lack of memory that is kept free; None for nothing."""
    if failed is None or not failed.atomic:
        return None
    if failed.network:
        return plural(
            "A request of the kernel that cannot wait (GFP_ATOMIC) has failed once, for the "
            "network: packets were lost, and a login over ssh may have been interrupted.",
            "Requests of the kernel that cannot wait (GFP_ATOMIC) have failed {n} times, {network} "
            "of them for the network: packets were lost, and a login over ssh may have been "
            "interrupted.",
            failed.atomic,
            network=failed.network,
        )
    return plural(
        "A request of the kernel that cannot wait (GFP_ATOMIC) has failed once: packets may have "
        "been lost.",
        "Requests of the kernel that cannot wait (GFP_ATOMIC) have failed {n} times: packets may "
        "have been lost.",
        failed.atomic,
    )


def _fitting(fit: Range, ram: int) -> Message:
    return msg(
        "For {ram} of RAM, {least} (sqrt(16 × RAM), the kernel's own value) to {most} (5 % of RAM) "
        "is right.",
        ram=of_bytes(ram),
        least=fit.own,
        most=fit.most,
    )


def huge_pages(pages: HugePages, ram: int, user: str) -> Advice | None:
    """Return what is wrong with vm.nr_hugepages; None if nothing is.

    ``user`` is a unit that is known to ask for huge pages when it starts; "" for none.
    """
    unused = pages.unused * pages.size
    if not unused:
        return None
    needed = pages.total - pages.unused
    share = round(100 * unused / ram) if ram else 0
    text = msg(
        "{key} is {total}: {size} are reserved for huge pages of {page}. {unused} of them ({free}, "
        "{share} % of RAM) are unused, and nothing else can use that memory.",
        key=of_setting(HUGE_PAGES),
        total=pages.total,
        size=of_bytes(pages.total * pages.size),
        page=of_bytes(pages.size),
        unused=pages.unused,
        free=of_bytes(unused),
        share=share,
    )
    caution = msg("A program that is started later and needs huge pages would not start.")
    if user:
        caution = msg(
            "{unit} may need them when it starts: check its huge_pages setting first.",
            unit=of_unit(user),
        )
    return Advice(
        str(needed),
        text,
        sentences(
            msg("{value} frees {size} at once.", value=needed, size=of_bytes(unused)),
            caution,
            msg(
                "An undo requests them again, but the kernel may not find as many in one piece "
                "before the next boot."
            ),
        ),
        # Where some are in use, their user may want more.
        taken=not needed and not user,
        grave=share >= 10,
    )


def parse_huge_pages(meminfo: str) -> HugePages | None:
    """Return what /proc/meminfo says of huge pages; None where the kernel has none."""

    def field(name: str) -> int | None:
        found = re.search(rf"^{name}:[ \t]*([0-9]{{1,20}})", meminfo, re.MULTILINE)
        return natural(found[1]) if found else None

    total, free = field("HugePages_Total"), field("HugePages_Free")
    reserved, size = field("HugePages_Rsvd"), field("Hugepagesize")
    if total is None or free is None or reserved is None or size is None:
        return None
    return HugePages(total, min(free, total), reserved, size << 10)


def _size(kib: int) -> Value:
    return of_bytes(kib << 10)
