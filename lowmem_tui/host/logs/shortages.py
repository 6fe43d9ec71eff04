"""Shortages that killed nothing: many of a kind made one; and the kernel's failed allocations.

Pure. Sources: mm/page_alloc.c (``warn_alloc``), mm/slub.c (``slab_out_of_memory``), mm/vmalloc.c,
lib/ratelimit.c of kernels 4.14 to 6.17. What was asked for on whose behalf is in the call
trace that follows: the first function that belongs to the network or to disks decides.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.host.logs.oom_text import asked_pid
from lowmem_tui.model.incident import Lack, Shortage
from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from collections.abc import Iterator

QUIET = 600.0
"""Seconds without one after which the next begins a new burst."""

MOST_OPEN, MOST_DONE = 128, 256
"""Kinds that are followed at a time, and bursts that are kept."""

SOON = 5.0
"""Seconds within which a call trace is written down."""

_NETWORK = (
    "alloc_skb|build_skb|napi_|netdev_|netif_|net_rx_|net_tx_|dev_queue_xmit|skb_|sk_|sock_|tcp_"
    "|udpv?6?_|ip6?_|inet6?_|icmp|arp_|nf_|br_|veth_|tun_|vhost_|virtnet_|vmxnet3_|xennet_|netvsc_"
    "|rndis_|gve_|ena_|e1000|igb|ixgbe|i40e|ice_|bnxt_|mlx[45]|r8169|rtl8|rtl_|tg3_|stmmac"
    "|macb_|fec_enet_|bcmgenet_|dpaa2?_|mvneta_|mvpp2_|lan78xx_|smsc9|page_pool_|try_fill_recv"
    "|add_recvbuf|ip_set_|xt_|mtk_rx|usbnet_|rx_submit|ieee80211_|iwl_|ath[0-9]|brcmf_|wg_"
)
_DISK = (
    "bio_|submit_bio|blk_|blkdev_|block_|nvme_|scsi_|ata_|virtblk_|virtscsi_|sd_|mmc_|xen_blk|blkif_"
    "|ext[234]_|xfs_|btrfs_|f2fs_|jbd2_|iomap_|mpage_|swap_|zram_|zs_malloc|zswap_|nbd_|dm_|crypt_|kcryptd_|loop_"
    "|md_|raid|nfs_|fuse_|ovl_|page_cache_|filemap_|readahead|read_pages|add_to_swap|pqi_"
)
_BEFORE = "\\b_{0,3}"

LINES = (
    "page allocation failure: order:|vmalloc error: |vmalloc: allocation failure"
    "|^SLUB: Unable to allocate memory|^ {0,4}cache: .*object size|^Mem-Info:"
    "|^(warn_alloc|slab_out_of_memory)\\w*: [0-9]+ callbacks suppressed"
    f"|{_BEFORE}({_NETWORK}|{_DISK})[\\w.]*(\\+0x|\\)| from )"
)
"""A regular expression (PCRE2, and ours) of the lines that matter here."""

_FRAME = re.compile(rf"(\? )?{_BEFORE}(?:({_NETWORK})|(?:{_DISK}))[\w.]*(?:\+0x|\)| from )")
_FAILED = re.compile(
    r"(.{0,64}?): page allocation failure: order:([0-9]{1,3}), mode:(\S{1,300}?)(?:,|\s|\Z)",
    re.DOTALL,
)
_VMALLOC = re.compile(
    r"(.{0,64}?): (vmalloc error: size [0-9]{1,20}|vmalloc: allocation failure)", re.DOTALL
)
_MODE = re.compile(r"(?:mode:|gfp=)(\S{1,300}?)(?:,|\s|\Z)")
_CACHE = re.compile(r" {0,4}cache: ([^,]{1,80}), object size")
_SUPPRESSED = re.compile(r"(?:warn_alloc|slab_out_of_memory)\w*: ([0-9]{1,9}) callbacks suppressed")


class _Key(NamedTuple):
    boot: str
    lack: Lack
    cgroup: str
    path: str
    order: int | None


class Folder:
    """Takes shortages in any order of time, and keeps one for each burst of each kind."""

    def __init__(self) -> None:
        self._open: dict[_Key, Shortage] = {}
        self._done: deque[Shortage] = deque(maxlen=MOST_DONE)

    def add(self, new: Shortage) -> None:
        """Take one."""
        key = _Key(new.boot, new.lack, new.cgroup or new.unit, new.path, new.order)
        old = self._open.get(key)
        if old is None:
            if len(self._open) == MOST_OPEN:
                self._done.append(self._open.pop(next(iter(self._open))))
            self._open[key] = new
        elif old.began - QUIET <= new.time and new.began <= old.time + QUIET:
            self._open[key] = _both(old, new)
        else:
            self._done.append(old)
            self._open[key] = new

    def all(self) -> tuple[Shortage, ...]:
        """Return what was taken, by the time of the first of each."""
        return tuple(sorted([*self._done, *self._open.values()], key=lambda s: (s.began, s.time)))


def _both(old: Shortage, new: Shortage) -> Shortage:
    late, early = (new, old) if new.time >= old.time else (old, new)
    return replace(
        late,
        began=min(old.began, new.began),
        count=old.count + new.count,
        unit=late.unit or early.unit,
        limit=early.limit if late.limit is None else late.limit,
        process=late.process or early.process,
        pid=late.pid if late.process or late.pid is not None else early.pid,
        mode=late.mode or early.mode,
        lowered=late.lowered and early.lowered,
    )


class _Failure:
    """A failed allocation whose call trace is being read."""

    __slots__ = ("context", "shortage", "sure")

    def __init__(self, shortage: Shortage, context: str) -> None:
        self.shortage, self.context = shortage, context
        self.sure = False

    def set(self, **changes: object) -> None:
        self.shortage = replace(self.shortage, **changes)  # type: ignore[arg-type]


class Failures:
    """Reads the lines of failed allocations; each is handed on when its trace is over."""

    def __init__(self) -> None:
        self._open: list[_Failure] = []
        self._suppressed = 0

    def take(
        self, time: float, boot: str, text: str, reference: str, context: str
    ) -> Iterator[Shortage]:
        """Read a line, and yield what is complete."""
        if self._open:
            yield from self._expire(time, boot)
        new = _begins(time, boot, text, reference)
        if new is not None:
            if self._doubled(new, context):
                return
            yield from self._begin(new, context)
        elif (match := _SUPPRESSED.match(text)) is not None:
            self._suppressed += natural(match[1]) or 0
        elif self._open:
            yield from self._more(text, reference, context)

    def over(self) -> Iterator[Shortage]:
        """Yield what is open: nothing more will come."""
        while self._open:
            yield self._open.pop(0).shortage

    def _expire(self, time: float, boot: str) -> Iterator[Shortage]:
        while self._open:
            first = self._open[0].shortage
            if first.boot == boot and abs(time - first.time) <= SOON:
                return
            yield self._open.pop(0).shortage

    def _begin(self, new: Shortage, context: str) -> Iterator[Shortage]:
        if self._suppressed:
            new = replace(new, count=1 + self._suppressed)
            self._suppressed = 0
        self._open.append(_Failure(new, context))
        if len(self._open) > 8:
            yield self._open.pop(0).shortage

    def _doubled(self, new: Shortage, context: str) -> bool:
        """Tell whether SLUB logs what the page allocator has logged of the same request."""
        failure = self._of(context)
        if new.detail != "SLUB" or failure is None:
            return False
        return failure.shortage.detail != "SLUB" and new.time - failure.shortage.time <= 1

    def _of(self, context: str) -> _Failure | None:
        for failure in reversed(self._open):
            if not context or not failure.context or failure.context == context:
                return failure
        return None

    def _more(self, text: str, reference: str, context: str) -> Iterator[Shortage]:
        if text.startswith("Mem-Info:"):
            # The trace stands before it.
            failure = self._of(context)
            if failure is not None:
                self._open.remove(failure)
                failure.set(reference=reference)
                yield failure.shortage
            return
        for failure in self._open:
            name, pid = failure.shortage.process, failure.shortage.pid
            if name and pid is None and (found := asked_pid(text, name)) is not None:
                failure.set(pid=found)
                return
        if (failure := self._of(context)) is not None and not failure.sure:
            _trace(failure, text, reference)


def _trace(failure: _Failure, text: str, reference: str) -> None:
    """Take over what a line of the call trace, or of SLUB's account, says of the path."""
    if (match := _FRAME.search(text)) is not None:
        sure = match[1] is None
        if sure or not failure.shortage.path:
            failure.set(path="network" if match[2] else "disk", reference=reference)
        failure.sure = sure
    elif (match := _CACHE.match(text)) is not None and not failure.shortage.path:
        failure.set(path=_path_of_cache(match[1]))


def _path_of_cache(cache: str) -> str:
    if cache.startswith(("skbuff", "TCP", "UDP", "sock_", "net_", "request_sock_TCP")):
        return "network"
    if cache.startswith(("bio", "ext4", "xfs", "btrfs", "jbd2", "buffer_head", "scsi")):
        return "disk"
    return ""


def _begins(time: float, boot: str, text: str, reference: str) -> Shortage | None:
    if "page allocation failure: " in text and (match := _FAILED.match(text)) is not None:
        order = natural(match[2])
        return Shortage(
            time, boot, Lack.ALLOCATION, time, process=match[1], order=order, mode=match[3],
            reference=reference,
        )  # fmt: skip
    if "vmalloc" in text and (match := _VMALLOC.match(text)) is not None:
        return Shortage(
            time, boot, Lack.ALLOCATION, time, process=match[1], mode=_mode(text),
            detail="vmalloc", reference=reference,
        )  # fmt: skip
    if text.startswith("SLUB: Unable to allocate memory"):
        return Shortage(
            time, boot, Lack.ALLOCATION, time, mode=_mode(text), detail="SLUB", reference=reference
        )
    return None


def _mode(text: str) -> str:
    match = _MODE.search(text)
    return match[1] if match else ""
