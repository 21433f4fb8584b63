"""`memqos`: the group of commands, and how an error ends it.

A command's module is imported when the command runs, so that `--help` stays fast.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

import click

from memqos import __version__
from memqos.cli import exits
from memqos.cli.output import FULL
from memqos.errors import MemqosError

COMMANDS: Final = {
    "run": "Manage the pods of this node's kubelet, or run pods from manifests and manage them.",
    "plan": "Show what memqos would write here, and why; write nothing.",
    "pods": "Show who holds what: memory, swap, limits, headroom, pressure.",
    "journal": "Show what an agent did, and why, or what another policy would have decided.",
    "simulate": "Play a scenario on the simulated kernel, without root.",
    "lab": "Try pods, and run experiments, on real kernels in a virtual machine.",
    "workload": "Do to real memory and files what a workload file says.",
    "restore": "Put back what an agent changed and could not restore itself, as after kill -9.",
    "doctor": "Show what this machine can do, what is missing, and the remedy.",
}


class _ReaderGone(Exception):
    """Nobody reads stdout any more. click would end with 1, which means something else here."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the command line; raises `_ReaderGone`."""
        try:
            return super().make_context(*arguments, **options)
        except BrokenPipeError:
            raise _ReaderGone from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; raises `_ReaderGone`."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGone from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"memqos.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their names alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _exit_codes() -> str:
    return "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {text}" for code, text in exits.MEANINGS.items())


@click.group(
    cls=LazyGroup,
    epilog=_exit_codes(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="memqos")
def cli() -> None:
    """Manage the memory of a Kubernetes or Linux node: swap by choice, protection, remedies, evictions.

    On a new machine: `memqos simulate` shows what memqos does, `memqos doctor` whether it can do that here,
    `memqos plan` what it would write. Only `run`, `restore` and `workload` touch memory or cgroups here.
    """


def main() -> None:
    """Run the command line; the console script's entry."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # µ and … in a locale that has none, a file's name that is no text: written as \\xb5, no reason to end
        sys.stdout.reconfigure(errors="backslashreplace")
    status = _status(_called)
    # what is still buffered is written here: at the interpreter's end nobody could tell what went wrong
    sys.exit(_status(_flushed) or status)


def _called() -> object:
    return cli.main(prog_name="memqos", standalone_mode=False)


def _flushed() -> None:
    if sys.stdout is not None:  # as it is where the shell closed it
        sys.stdout.flush()


def _status(act: Callable[[], object]) -> int:
    """Do it and return the exit code; an error becomes one sentence on stderr."""
    status: object
    try:
        status = act()
    except click.exceptions.Abort:
        status = 130
    except click.ClickException as error:
        _show(error.show)
        status = error.exit_code
    except KeyboardInterrupt:
        status = 130
    except (_ReaderGone, BrokenPipeError):
        _drop(sys.stdout)
        status = exits.OK
    except OSError as error:
        if error.filename is not None:
            _say(f"{error.filename}: {error.strerror}")
            status = exits.BAD_INPUT
        elif error.errno in FULL:
            _say(f"the output cannot be written: {error.strerror}")
            _drop(sys.stdout)
            status = exits.CANNOT_HERE
        else:
            raise  # not about a file that somebody named: ours to mend
    except MemqosError as error:
        _say(str(error))
        status = exits.code_of(error)
    return status if isinstance(status, int) else exits.OK


def _say(problem: str) -> None:
    _show(lambda: print(f"memqos: {problem}", file=sys.stderr, flush=True))


def _show(act: Callable[[], object]) -> None:
    """Write to stderr; where nobody can read that, the exit code says it."""
    try:
        act()
    except OSError:
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    """Let go of what is still buffered for it: at the interpreter's end writing it would fail again."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
