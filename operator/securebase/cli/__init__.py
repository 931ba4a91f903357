"""The command `securebase`: plan | drift | dashboard | cost | report | run | version. The same engine as the operator's, with a face for a terminal."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from securebase import __version__

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, help=__doc__)

CHANGES = 2
"""Exit code: something would change, or has drifted. 0: nothing; 1: an error."""


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


class Picturing(StrEnum):
    HTML = "html"
    PNG = "png"
    JSON = "json"


Instance = Annotated[
    str,
    typer.Option(
        envvar="SECUREBASE_INSTANCE",
        help="Whose resources these are: the chart's `instance`, or the UID of the namespace kube-system: "
        "kubectl get ns kube-system -o jsonpath='{.metadata.uid}'",
    ),
]
Format = Annotated[Output, typer.Option("--output", "-o", help="How to print.")]


@app.command(
    epilog="**Examples**\n\n"
    "`securebase plan -f examples/cdn-minimal.yaml --instance prod`\n\n"
    "`kustomize build overlays/prod | securebase plan -f - --instance prod -o json`\n\n"
    "Exit code: 0 nothing would change, 2 something would, 1 an error."
)
def plan(
    files: Annotated[list[str], typer.Option("--file", "-f", help="A file, a directory (every .yaml, .yml and .json in it), or - for standard input.")],
    instance: Instance = "",
    output: Format = Output.TEXT,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of objects that name none.")] = "default",
    cluster: Annotated[bool, typer.Option("--cluster", help="Go by the objects' status in the cluster, instead of searching by identity.")] = False,
) -> None:
    """Show what would change in AWS, without a cluster. Nothing is written. The plan hash is the one the operator will show."""
    from securebase.cli.plan import plan_files

    raise typer.Exit(plan_files(files, instance, namespace, as_json=output is Output.JSON, cluster=cluster))


@app.command(
    epilog="**Examples**\n\n"
    "`securebase dashboard platform -f examples --instance prod`\n\n"
    "`securebase dashboard platform -f deploy/ --instance prod -o png --into pictures --hours 24`\n\n"
    "`securebase dashboard platform -f deploy/platform.yaml --cluster -o json | jq '.dashboards[].panels[].title'`\n\n"
    "**Reads** the manifests; AWS's lists of the targets; GetMetricData for every line (about 0.01 USD per thousand); DescribeAlarms. "
    "Of what a target's `ref` names: its status with `--cluster`, else its manifest among the files and what exists of it in AWS.\n\n"
    "HTML and PNG need the extra `preview`. Exit code: 0 drawn, also where there is no data (it says so), 1 an error."
)
def dashboard(
    name: Annotated[str, typer.Argument(help="Name of the PerfAlarmSet.")],
    files: Annotated[list[str], typer.Option("--file", "-f", help="A file, a directory (every .yaml, .yml and .json in it), or - for standard input.")],
    instance: Instance = "",
    output: Annotated[Picturing, typer.Option("--output", "-o", help="One page, an image for each dashboard, or what they show to standard output.")] = (
        Picturing.HTML
    ),
    into: Annotated[Path, typer.Option("--into", help="Directory to write to; made where it is missing.")] = Path(),
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=1080, help="How far to look back. 60 s data lives 15 days in CloudWatch.")] = 3.0,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of objects that name none.")] = "default",
    cluster: Annotated[bool, typer.Option("--cluster", help="Take what referenced objects tell from their status in the cluster.")] = False,
) -> None:
    """Draw the dashboards of a PerfAlarmSet with the data there is now, before they are made. Nothing is written to AWS."""
    from securebase.cli.dashboard import Wish, draw

    raise typer.Exit(draw(Wish(name, tuple(files), instance, namespace, output, into, hours, cluster)))


@app.command(epilog="**Examples**\n\n`securebase drift`\n\n`securebase drift -n web -o json`\n\nExit code: 0 no drift, 2 drift, 1 an error.")
def drift(
    instance: Instance = "",
    output: Format = Output.TEXT,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only this namespace.")] = "",
) -> None:
    """List every object of the cluster whose resources were changed outside, field by field. Reads AWS now; nothing is written."""
    from securebase.cli.drift import drift_of_cluster

    raise typer.Exit(drift_of_cluster(instance, namespace, as_json=output is Output.JSON))


@app.command(
    epilog="**Examples**\n\n"
    "`securebase cost -f examples`\n\n"
    "`kustomize build overlays/prod | securebase cost -f - --region eu-central-1 --price-book prices.yaml -o json`\n\n"
    "Exit code: 0 estimated, also where a price is unknown (it is named), 1 an error."
)
def cost(
    files: Annotated[list[str], typer.Option("--file", "-f", help="A file, a directory (every .yaml, .yml and .json in it), or - for standard input.")],
    output: Format = Output.TEXT,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of objects that name none.")] = "default",
    region: Annotated[str, typer.Option("--region", help="Region of objects that name none; default: that of their AwsAccount among the files.")] = "",
    price_book: Annotated[str, typer.Option("--price-book", envvar="SECUREBASE_PRICE_BOOK", help="A file that overrides or extends the price book.")] = "",
) -> None:
    """Estimate what the objects cost a month, from dated public prices. Neither AWS nor a cluster is asked. Unknown prices are named, never guessed."""
    from securebase.cli.cost import cost_of_files

    raise typer.Exit(cost_of_files(files, namespace, region, price_book, as_json=output is Output.JSON))


@app.command(epilog="**Examples**\n\n`securebase report`\n\n`securebase report -n web -o json`\n\nExit code: 0, or 1 for an error.")
def report(
    output: Format = Output.TEXT,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only this namespace.")] = "",
) -> None:
    """List every object of the cluster: readiness, drift, monthly cost, and recommendations with what the change costs. AWS is not asked."""
    from securebase.cli.report import report_of_cluster

    raise typer.Exit(report_of_cluster(namespace, as_json=output is Output.JSON))


@app.command()
def run() -> None:
    """Run the operator. Settings come from the environment, SECUREBASE_*; see the chart's values."""
    from securebase.app import run as run_operator
    from securebase.settings import Settings

    raise typer.Exit(run_operator(Settings()))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Entry point of the console script."""
    app()


__all__ = ["app", "main"]
