"""The command line: options, and which module runs which command."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeAlias

from lowmem_tui import __version__
from lowmem_tui.cli import ended, language, output
from lowmem_tui.cli.exit import Exit
from lowmem_tui.model import errors
from lowmem_tui.model.language import tr, use_demo
from lowmem_tui.model.message import msg, of_list

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    # argparse gives it no public name.
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

SCREEN = "screen"

CHANGING = frozenset({"apply", "confirm", "undo"})
"""Commands that print nothing that could fail once the change is made (`output.tell`)."""

_STATUS: tuple[tuple[type[errors.LowmemError], Exit], ...] = (
    (errors.InvalidValueError, Exit.USAGE),
    (errors.RefusedError, Exit.REFUSED),
    (errors.NotPermittedError, Exit.NOT_PERMITTED),
    (errors.UnsupportedError, Exit.UNSUPPORTED),
    (errors.HalfDoneError, Exit.HALF_DONE),
    (errors.LowmemError, Exit.ROLLED_BACK),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    from lowmem_tui.cli import arguments as given

    top: argparse.ArgumentParser = given.OneSentence(
        prog="lowmem-tui",
        description=tr(
            "Shows which systemd units use the memory of a small server and which process the "
            "kernel would kill next, and changes that safely. Without a command it opens the live "
            "screen."
        ),
        epilog=tr(
            "Exit status: 0 done; 1 done, with findings or a mismatch; 2 wrong usage; 3 refused "
            "by a check, nothing written; 4 not permitted; 5 no systemd with cgroup v2 here; "
            "6 failed and rolled back, or nothing was touched yet; 7 failed and the rollback is "
            "incomplete; 70 internal error; 129, 130, 143 ended by SIGHUP, SIGINT, SIGTERM."
        ),
        allow_abbrev=False,
    )
    top.add_argument(
        "--version",
        action="version",
        version=f"lowmem-tui {__version__}",
        help=tr("show program's version number and exit"),
    )
    _server(top)
    top.add_argument(
        "--or-demo",
        action="store_true",
        help=tr("use the demo server where there is no systemd with cgroup v2"),
    )
    top.add_argument("--read-only", action="store_true", help=tr("nothing can be changed"))
    _plain(top)
    top.add_argument(
        "--interval",
        type=given.interval,
        default=given.INTERVAL,
        metavar="SECONDS",
        help=tr("time between two samples, 0.2 to 60 (default 1)"),
    )

    top.set_defaults(recorded=None)  # `replay` has a command look at the past
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title=tr("commands"))
    _incidents(commands)
    _setup(commands)
    _command(
        commands,
        "triage",
        tr("one plain page: memory, the largest units, the next OOM victim"),
    )
    _json(_command(commands, "list", tr("every unit by tier, its memory, its settings")))
    _show(commands)
    _whatif(commands)
    _plan_and_apply(commands)
    _past(commands)
    _recordings(commands)
    return top


def _command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    """Add a command, with the options that every command has; ``cli/NAME.py`` runs it."""
    described = tr("{what}.", what=f"{text[:1].upper()}{text[1:]}")
    command = commands.add_parser(name, help=text, description=described)
    _server(command, inherit=True)
    return command


def _plan_and_apply(commands: Commands) -> None:
    from lowmem_tui.cli import arguments as given

    for name, text in (
        ("plan", tr("show the drop-ins that would be written, and their effects")),
        (
            "apply",
            tr("write the drop-ins, reload systemd once, set the kernel's values, verify"),
        ),
    ):
        command = _command(commands, name, text)
        source = command.add_mutually_exclusive_group(required=True)
        _sets(source)
        source.add_argument(
            "--policy",
            type=given.file,
            metavar="FILE",
            help=tr("settings of many units, in TOML; '-' reads standard input"),
        )
        command.add_argument(
            "--force",
            action="store_true",
            help=tr(
                "override checks that can be overridden, and replace what was changed meanwhile: "
                "the record stores it, and undo restores it"
            ),
        )
        command.add_argument(
            "--at-restart",
            action="store_true",
            help=tr("do not change running processes: settings apply from each unit's next start"),
        )
        if name == "plan":
            _json(command)
        else:
            command.add_argument("--yes", action="store_true", help=tr("do not ask"))
            command.add_argument(
                "--trial",
                type=given.trial,
                metavar="SECONDS",
                help=tr(
                    "revert the change automatically after that time, unless `lowmem-tui confirm` "
                    "keeps it"
                ),
            )
            command.add_argument("--note", default="", help=tr("the reason, for the history"))


def _show(commands: Commands) -> None:
    command = _command(
        commands,
        "show",
        tr("one unit: tier, memory, settings, every file that sets them, what a kill would do"),
    )
    command.add_argument(
        "units",
        nargs="+",
        metavar="UNIT",
        help=tr("a unit, as systemctl takes it: without suffix a service, an alias, a pattern"),
    )
    _json(command)


def _whatif(commands: Commands) -> None:
    command = _command(
        commands,
        "whatif",
        tr("the OOM kill order, now and after changes; nothing is written"),
    )
    _sets(command)
    command.add_argument(
        "--force",
        action="store_true",
        help=tr("include edits that a check refuses, where it can be overridden"),
    )
    _json(command)


def _setup(commands: Commands) -> None:
    """Add the guided first hour, and the same as findings."""
    from lowmem_tui.cli import arguments as given

    command = _command(
        commands,
        "check",
        tr("what is wrong with this server for its memory, each finding with its remedy"),
    )
    _json(command)
    command = _command(
        commands,
        "setup",
        tr("the guided set-up: from a fresh server to its policy, step by step"),
    )
    _plain(command, inherit=True)
    instead = command.add_mutually_exclusive_group()
    instead.add_argument(
        "--print",
        action="store_true",
        help=tr("print the policy file with all default proposals, for `apply --policy`"),
    )
    instead.add_argument(
        "--report",
        type=given.file,
        metavar="FILE.md",
        help=tr("write one page on what was changed and the result; '-' prints it"),
    )
    command.add_argument(
        "--step",
        metavar="NAME",
        help=tr("begin with this step; with --print: this step only"),
    )


def _incidents(commands: Commands) -> None:
    from lowmem_tui.cli import arguments as given

    command = _command(commands, "incidents", tr("what was killed, when and why, and the outcome"))
    command.add_argument(
        "--since",
        metavar="WHEN",
        help=tr(
            "a time as for `journalctl --since` (yesterday, '2 hours ago', 2026-01-31), or boot"
        ),
    )
    command.add_argument(
        "--file",
        type=given.file,
        metavar="FILE",
        help=tr(
            "read the kernel log of another machine (dmesg, syslog or the output of journalctl, "
            "also compressed by gzip, xz or bzip2); '-' is standard input"
        ),
    )
    _json(command)


def _past(commands: Commands) -> None:
    """Add what concerns changes that were made."""
    _command(commands, "confirm", tr("keep the change that is on trial"))
    command = _command(
        commands,
        "undo",
        tr("undo a change, byte for byte: the trial that runs, else the newest change"),
    )
    command.add_argument(
        "id", nargs="?", metavar="ID", help=tr("the change, by its number in `history`")
    )
    command.add_argument(
        "--force",
        action="store_true",
        help=tr(
            "undo even if a file or a value was changed since, or a check refuses: the "
            "record stores what is replaced"
        ),
    )
    command.add_argument(
        "--with-later",
        action="store_true",
        help=tr("undo later changes of the same files, too"),
    )
    _json(_command(commands, "history", tr("what was changed, when and by whom")))


def _sets(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="sets",
        metavar="UNIT:KEY=VALUE",
        help=tr(
            "may be repeated; an empty VALUE removes the setting from the drop-in of lowmem-tui"
        ),
    )


def _server(command: argparse.ArgumentParser, *, inherit: bool = False) -> None:
    import argparse

    # A subcommand must not put its default over what was given before its name.
    default = argparse.SUPPRESS if inherit else None
    command.add_argument(
        "--demo",
        action="store_true",
        default=default or False,
        help=tr("the built-in demo server: nothing of this machine is read or written"),
    )
    command.add_argument(
        "--bus",
        choices=("jeepney", "pydbus"),
        default=default or "jeepney",
        help=tr("the D-Bus client (default jeepney)"),
    )
    command.add_argument(
        "--ascii",
        action="store_true",
        default=default or False,
        help=tr("print ASCII characters only"),
    )
    command.add_argument(
        language.OPTION,
        default=default,
        metavar="LANGUAGE",
        help=tr(
            "the language: {languages} (default: from LANGUAGE, LC_ALL, LC_MESSAGES, LANG)",
            languages=of_list(("en", *language.LANGUAGES)),
        ),
    )


def _plain(command: argparse.ArgumentParser, *, inherit: bool = False) -> None:
    import argparse

    command.add_argument(
        "--plain",
        action="store_true",
        default=argparse.SUPPRESS if inherit else False,
        help=tr(
            "a dialogue of plain lines instead of the screen: for screen readers, serial consoles "
            "and TERM=dumb"
        ),
    )


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help=tr("print JSON"))


def _recordings(commands: Commands) -> None:
    import argparse

    from lowmem_tui.cli import arguments as given

    command = _command(commands, "record", tr("record this server into a file"))
    command.add_argument(
        "--for",
        dest="seconds",
        required=True,
        type=given.span,
        metavar="TIME",
        help=tr("how long: 90s, 10min, 2h (systemd.time(7)); Ctrl-C ends it sooner"),
    )
    command.add_argument(
        "--every",
        default=given.RECORD_EVERY,
        type=given.interval,
        metavar="SECONDS",
        help=tr("time between two samples, 0.2 to 60 (default 5)"),
    )
    command.add_argument(
        "--arguments",
        action="store_true",
        help=tr("record whole command lines: they may contain passwords"),
    )
    command.add_argument("file", type=given.file, metavar="FILE", help=tr("a new file"))
    command = _command(commands, "replay", tr("run a command on a recording"))
    command.add_argument(
        "--at",
        metavar="WHEN",
        help=tr("the moment, as for `incidents --since`; without it, the newest sample"),
    )
    command.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="FILE [COMMAND …]",
        help=tr(
            "the recording (a file or a folder), then list, show, triage (default), whatif or "
            "incidents, with their options"
        ),
    )


def alone() -> SimpleNamespace:
    """Return what the parser makes of no arguments at all.

    Nothing is to be parsed then, and the screen, which stays, need not carry the parser: its
    library is 0.3 MB.
    """
    return SimpleNamespace(
        command=None,
        demo=False,
        bus="jeepney",
        or_demo=False,
        read_only=False,
        plain=False,
        interval=1.0,
        ascii=False,
        lang=None,
        recorded=None,
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what is asked for. Raises InvalidValueError."""
    from lowmem_tui.cli import arguments as given

    options = parser().parse_args(given.joined(arguments))
    if options.interval != given.INTERVAL and options.command not in {None, "setup"}:
        raise errors.InvalidValueError(
            msg(
                "--interval is an option of the screen: omit it for `lowmem-tui {command}`.",
                command=options.command,
            )
        )
    if options.plain and not _is_screen(options):
        raise errors.InvalidValueError(
            msg(
                "--plain replaces the screen: `lowmem-tui {command}` prints plain lines anyway.",
                command=options.command,
            )
        )
    if options.or_demo:
        _demo_instead(options)
    return options


def _demo_instead(options: argparse.Namespace) -> None:
    """Take the demo server, and say why, where there is no systemd with cgroup v2."""
    from lowmem_tui.cli.local import check_supported

    if options.demo:
        return
    try:
        check_supported()
    except errors.UnsupportedError as error:
        output.talk(error.message)
        output.talk(tr("This is the demo server instead."))
        options.demo = True


def _is_screen(options: argparse.Namespace | SimpleNamespace) -> bool:
    if options.command == "setup":
        return not options.print and options.report is None
    return options.command is None


def run_command(arguments: Sequence[str]) -> int:
    """Parse and run; every failure becomes one sentence on standard error."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    with ended.caught():
        try:
            return _run(arguments)
        except KeyboardInterrupt as error:
            number = ended.number_of(error)
            text = tr("Ended by {signal}; no change is incomplete.", signal=number.name)
            if number == signal.SIGINT:
                text = tr("Interrupted; no change is incomplete.")
            return _fail(text, Exit.by(number))


def _run(arguments: Sequence[str]) -> int:
    options: argparse.Namespace | SimpleNamespace = alone()
    try:
        language.prepare(arguments, ascii_only="--ascii" in arguments)
        if arguments:
            options = parse(arguments)
        output.prepare(ascii_only=options.ascii)
        use_demo(demo=options.demo)
        if options.command == "triage":  # with options before it
            triage = import_module(f"lowmem_tui.cli.{'triage_of' if options.demo else 'triage'}")
            return Exit(triage.run([]))
        module = import_module(f"lowmem_tui.cli.{options.command or SCREEN}")
        status: Exit = module.run(options)
        sys.stdout.flush()
        if options.demo and not _is_screen(options):
            output.talk(tr(output.DEMO))
    except errors.LowmemError as error:
        return _fail(_in_words(error), _status(error))
    except BrokenPipeError:
        # Whoever read us (head, less) has gone: no complaint, and none from the interpreter.
        output.discard()
        if options.command in CHANGING:
            text = tr("Standard output cannot be written (broken pipe): nothing was changed.")
            return _fail(text, Exit.ROLLED_BACK)
        return Exit.DONE
    except Exception as error:
        if isinstance(error, OSError) and output.fails():
            output.discard()
            text = tr(
                "Standard output cannot be written ({why}): redirect it elsewhere.",
                why=error.strerror or "",
            )
            return _fail(text, Exit.ROLLED_BACK)
        if os.environ.get("LOWMEM_TUI_DEBUG"):
            raise
        return _fail(
            tr(
                "Internal error of lowmem-tui ({error}): run it again with LOWMEM_TUI_DEBUG=1 and "
                "report what it prints.",
                error=f"{type(error).__name__}: {error}",
            ),
            Exit.FAULT,
        )
    return status


def _in_words(error: errors.LowmemError) -> str:
    from lowmem_tui.model.language import say

    return say(error.message)


def _status(error: errors.LowmemError) -> Exit:
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    # What a signal has ended, with everything rolled back, ends with the signal's own.
    number: int = getattr(error.__cause__, "number", 0)
    return Exit.by(number) if number and status is Exit.ROLLED_BACK else status


def _fail(sentence: str, status: Exit) -> Exit:
    from lowmem_tui.model.text import plain

    try:
        output.talk(f"lowmem-tui: {plain(sentence)}")
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except OSError:
        # The connection is lost: nobody reads it, and the status is the same.
        output.discard()
        output.discard(sys.stderr)
    return status
