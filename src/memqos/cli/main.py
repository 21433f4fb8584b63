"""`memqos`: the group of commands, and how an error ends it.

A command's module is imported when the command runs, so that `--help` stays fast.
"""

from __future__ import annotations

import errno
import importlib
import sys
from typing import Final

import click

from memqos import __version__
from memqos.cli import exits
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


_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing says where there is no room left."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

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
    try:
        status = cli.main(prog_name="memqos", standalone_mode=False)
    except click.exceptions.Abort:
        status = 130
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        sys.stderr.close()
        status = exits.OK
    except OSError as error:
        if error.filename is not None:
            print(f"memqos: {error.filename}: {error.strerror}", file=sys.stderr)
            status = exits.BAD_INPUT
        elif error.errno in _FULL:
            print(f"memqos: the output cannot be written: {error.strerror}", file=sys.stderr)
            status = exits.CANNOT_HERE
        else:
            raise  # not about a file that somebody named: ours to mend
    except MemqosError as error:
        print(f"memqos: {error}", file=sys.stderr)
        status = exits.code_of(error)
    sys.exit(status if isinstance(status, int) else exits.OK)
