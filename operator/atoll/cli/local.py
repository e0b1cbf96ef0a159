"""``atoll local``: the whole system on this machine, with a simulated cloud; or against a cluster that is there."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from atoll.api.documents import STANDARD_INPUT
from atoll.api.manifests import Manifests, load_manifests
from atoll.cli.exits import Exit
from atoll.cli.helptext import Command, Group
from atoll.cli.live import follow_changes, follow_until_settled, standings_table
from atoll.cli.reading import missing, refuse_empty
from atoll.domain.reason import Reason
from atoll.local.binaries import ensure_binaries, is_built
from atoll.local.controlplane import ControlPlane, Profile, down
from atoll.local.errors import LocalEnvironmentError
from atoll.local.fleet import LocalFleet
from atoll.local.foreign import run_against
from atoll.local.look import Look
from atoll.local.losenode import lose_node
from atoll.local.offerings import offerings_of
from atoll.local.processes import tied_to_this_process
from atoll.local.state import StateDirectory, default_state_directory
from atoll.report.tables import plan_table

app = typer.Typer(cls=Group, help="Run everything on this machine: no GPU, no cloud, no Docker.", no_args_is_help=True)

EXAMPLE = Path("examples/coral-six")
_PICTURE_COLUMNS = 108


@app.command(
    cls=Command,
    epilog="Examples:\n\n  atoll local run\n\n  atoll local run -f my-manifests/\n\n"
    "  atoll local run --cluster ~/.kube/config   # a cluster of yours: recommends, moves nothing by itself",
)
def run(
    files: Annotated[
        list[Path] | None, typer.Option("--filename", "-f", help="Manifests; default: examples/coral-six.")
    ] = None,
    cluster: Annotated[
        Path | None, typer.Option(help="Kubeconfig of a cluster that you have; KUBECONFIG is ignored.")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="State folder; default: ATOLL_LOCAL_DIR or XDG state.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before touching a cluster of yours.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End once everything is served, as tests do.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Save the last screen as an SVG here.")] = None,
) -> None:
    """Start a control plane, a simulated cloud, the router and the operator; serve the manifests; follow changes."""
    console = Console()
    # SIGTERM ends everything as Ctrl-C does: the same clean-up runs.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    paths = files or [EXAMPLE]
    for path in paths:
        if path == STANDARD_INPUT or not (path.is_dir() or path.is_file() or not path.exists()):
            raise typer.BadParameter(f"{path} can be read only once: give files or folders", param_hint="-f")
    refuse_empty(paths)
    try:
        manifests = load_manifests(paths, now=datetime.now(UTC))
    except FileNotFoundError as error:
        raise missing(error) from error
    try:
        for fault in manifests.faults:
            console.print(Text(f"fault: {fault}", style="red"), soft_wrap=True)
        if any(item.fault.reason is Reason.INVALID_SPEC for item in manifests.faults):
            console.print("Nothing was started: an API server would refuse what is at fault.")
            raise typer.Exit(Exit.ERROR)
        if cluster is not None:
            _run_against(cluster, paths, console, yes=yes)
        else:
            _run_here(paths, manifests, console, state_directory=state, once=once, picture=picture)
    except LocalEnvironmentError as error:
        console.print(Text(f"error: {error}", style="red"))
        raise typer.Exit(Exit.ERROR) from error
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")


@app.command("down", cls=Command)
def stop(state: Annotated[Path | None, typer.Option(help="State folder of the environment.")] = None) -> None:
    """End whatever an earlier run left behind, for example after a kill."""
    ended = down(state)
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@app.command(
    "lose-node", cls=Command, epilog="Example:\n\n  atoll local lose-node $(kubectl get nodes -o name | head -1)"
)
def lose(
    name: Annotated[str, typer.Argument(help="Name of the node.")],
    state: Annotated[Path | None, typer.Option(help="State folder of the environment.")] = None,
) -> None:
    """Lose a node abruptly: no notice, no drain, as when a spot instance vanishes."""
    folder = StateDirectory(root=(state or default_state_directory()).absolute())
    try:
        lose_node(folder.kubeconfig, name.removeprefix("node/"))
    except LocalEnvironmentError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(Exit.ERROR) from error
    typer.echo(f"{name} is lost")


def _run_here(
    paths: list[Path],
    manifests: Manifests,
    console: Console,
    *,
    state_directory: Path | None,
    once: bool,
    picture: Path | None,
) -> None:
    with _plan_beside(paths) as rival:
        if not is_built():
            console.print("The first run builds the control plane: ten minutes or more on two cores. The plan first:")
            report = rival(wait=True)
            if report is not None:
                console.print(plan_table(report))
        binaries = ensure_binaries()
        with ControlPlane(binaries=binaries, state_directory=state_directory) as plane:
            with console.status("Starting etcd, kube-apiserver, controllers, scheduler, KWOK, Karpenter …"):
                plane.start(Profile(offerings=offerings_of(manifests.pools), operator_cluster_role=""))
            with LocalFleet(plane) as fleet, plane.api() as api:
                fleet.install()
                fleet.start_router()
                fleet.start_operator()
                fleet.apply(paths)

                check = plane.processes.check
                seen = follow_until_settled(api, console, check=check)
                known = rival(wait=True)
                report = seen.report(_baseline(known))
                if report is not None:
                    console.print(plan_table(report))
                    if picture is not None:
                        _save_picture(picture, seen, report)
                _say_where(console, plane, manifests, state_directory)
                if not once:
                    follow_changes(api, console, seen, check=check, baseline=lambda: None)


def _save_picture(path: Path, seen: Look, report: Mapping[str, Any]) -> None:
    """How every demand stands and the table, drawn as they are on the screen."""
    canvas = Console(record=True, width=_PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True)
    canvas.print(Text("$ make run", style="bold"))
    canvas.print(standings_table(seen))
    canvas.print(plan_table(report))
    # Without rich's web fonts: a picture in a README loads nothing.
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    canvas.save_svg(str(path), title="make run", code_format=plain)


def _say_where(console: Console, plane: ControlPlane, manifests: Manifests, state: Path | None) -> None:
    console.print(
        "Simulated: nodes, pods and GPUs (KWOK, Karpenter's KWOK provider), the kubelet of the router. Real: the rest.",
        style="dim",
        highlight=False,
    )
    where = f" --state {state}" if state else ""
    console.print("Try, in another terminal (Ctrl-C here ends everything):", highlight=False)
    for line in (
        f"alias k='{plane.kubectl_path} --kubeconfig {plane.kubeconfig}'",
        "k get md,fleet,plan",
        *_another_demand(manifests),
        "k delete node NAME   # graceful loss",
        f"{Path(sys.executable).parent / 'atoll'} local lose-node NAME{where}   # abrupt loss",
    ):
        console.print(f"  {line}", soft_wrap=True, highlight=False)


def _another_demand(manifests: Manifests) -> Iterator[str]:
    """How to ask for twice as much of the first served model that is asked for at a fixed rate."""
    for demand in manifests.demands:
        if demand.rate > 0.0 and demand.key not in manifests.peaks:
            patch = json.dumps({"spec": {"demand": {"requestsPerSecond": round(2.0 * demand.rate, 3)}}})
            yield f"k -n {demand.key.namespace} patch md {demand.key.name} --type=merge -p '{patch}'"
            return


def _run_against(cluster: Path, paths: list[Path], console: Console, *, yes: bool) -> None:
    with _plan_beside(paths) as rival, console.status("Planning, so that you know the cost before anything is applied"):
        report = rival(wait=True)
    if report is not None:
        console.print(plan_table(report))

    def confirm(question: str) -> None:
        if not yes and os.environ.get("YES") != "1":
            typer.confirm(question, abort=True)

    run_against(cluster, paths, say=lambda line: console.print(line, highlight=False, soft_wrap=True), confirm=confirm)


def _baseline(report: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return report["baseline"]["oneKindPerModel"] if report else None


@contextmanager
def _plan_beside(paths: list[Path]) -> Iterator[Callable[..., dict[str, Any] | None]]:
    """`atoll plan` in a process of its own while other things go on; its report once it is done."""
    arguments = [argument for path in paths for argument in ("-f", str(path))]
    command = [sys.executable, "-m", "atoll.cli", "plan", *arguments, "--json"]
    child = subprocess.Popen(  # noqa: S603  # our own command
        [*tied_to_this_process(), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    answer: list[dict[str, Any] | None] = []

    def report(*, wait: bool) -> dict[str, Any] | None:
        if not answer and (wait or child.poll() is not None):
            text, _ = child.communicate()
            answer.append(json.loads(text) if text.strip() else None)
        return answer[0] if answer else None

    try:
        yield report
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
