"""Files of settings in several folders, and which of them counts (systemd's ``NAME.d``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_list, of_path, of_setting, of_text
from lowmem_tui.model.plan import FileChange
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.snapshot import UnitFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Files, Inspector

FOLDERS: Final = ("/etc", "/run", "/usr/local/lib", "/usr/lib")
"""Of files of the same name the one in the first folder counts (CONF_PATHS of systemd)."""

OUR_NAME: Final = "zz-lowmem-tui.conf"

MARK: Final = "# Written by lowmem-tui"


class Declared(NamedTuple):
    """A value that a file gives a setting."""

    value: str
    path: str


class Layers(NamedTuple):
    """What several files say of each setting, ours among them; the last one counts."""

    declared: dict[str, Declared]
    """What counts when they are next read."""
    others: dict[str, Declared]
    """The same without our file."""
    after: dict[str, Declared]
    """What is set by files that are read after ours."""
    ours: dict[str, str]
    """What our file says."""

    def overruling(
        self, wanted: Mapping[str, str], same: Callable[[str, Declared, str], bool]
    ) -> Iterator[tuple[str, str, Declared]]:
        """Yield each setting and value of ours that a later file makes another, and what it says.

        ``same`` tells whether what is declared for a setting comes to a value.
        """
        for key, value in wanted.items():
            other = self.after.get(key)
            if value and other and not same(key, other, value):
                yield key, value, other


def layers_of(
    files: Sequence[UnitFile],
    path: str,
    declared: Callable[[Iterable[UnitFile]], dict[str, Declared]],
) -> Layers:
    """Return what files say, in the order in which they are read; `path` is that of ours."""
    ours = declared(file for file in files if file.path == path)
    return Layers(
        declared=declared(files),
        others=declared(file for file in files if file.path != path),
        after=declared(file for file in files if file.path.rpartition("/")[2] > OUR_NAME),
        ours={key: found.value for key, found in ours.items() if found.value},
    )


def overruled(step: str, key: str, other: Declared, sentence: Message) -> Finding:
    """Return the finding on a setting of ours that another file overrides."""
    remedy = msg("remove {key} from {path}", key=of_setting(key), path=of_path(other.path))
    return Finding(f"{step}-overruled", Severity.WARNING, other.path, sentence, remedy)


def conf_files(files: Files, inspector: Inspector, name: str) -> list[UnitFile]:
    """Return the files of ``sysctl.d``, ``systemd/journald.conf.d``…, the last one counts.

    They are read in the order of their names, whatever folder they are in. A file that cannot be
    read has no text.
    """
    paths: dict[str, str] = {}
    for folder in FOLDERS:
        for each in inspector.names(f"{folder}/{name}"):
            if each.endswith(".conf") and not each.startswith("."):
                paths.setdefault(each, f"{folder}/{name}/{each}")
    return [read_file(files, paths[each]) for each in sorted(paths)]


def read_file(files: Files, path: str) -> UnitFile:
    """Return a file; without a text if there is none, or it cannot be read."""
    try:
        return UnitFile(path, files.read(path))
    except OSError:
        return UnitFile(path, None)


def rewritten(
    files: Files, path: str, settings: Mapping[str, str], head: str
) -> tuple[FileChange, ...]:
    """Return the change that makes our file say these settings alone; no file for no settings.

    ``head`` is the text ahead of them, with its line ends. A setting of "" is left out. OSError.
    """
    lines = [f"{key}={value}\n" for key, value in settings.items() if value]
    text = head + "".join(lines) if lines else None
    before = files.read(path)
    return () if same_settings(before, text) else (FileChange(path, before, text),)


def same_settings(before: str | None, after: str | None) -> bool:
    """Tell whether two texts of a file of ours differ in comments and empty lines at most.

    A release that words a comment otherwise must not make a service be restarted.
    """
    return _bare(before) == _bare(after)


def _bare(text: str | None) -> list[str] | None:
    if text is None:
        return None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", ";"))]


def known(step: str, wishes: Mapping[str, str], keys: Iterable[str]) -> None:
    """Raise InvalidValueError for a key that is none of a step's."""
    names = sorted(keys)
    for key in wishes:
        if key not in names:
            raise InvalidValueError(
                msg(
                    "'{key}' is not a key of [{step}]: write one of {names}.",
                    key=of_text(key, 60),
                    step=of_setting(step),
                    names=of_list(map(of_setting, names)),
                )
            )
