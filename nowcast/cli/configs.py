"""`nowcast configs`: the experiments that come with the project, and the keys of an experiment file."""

from __future__ import annotations

from typing import Annotated

import typer

from nowcast.cli.app import app, report_errors


@app.command()
@report_errors
def configs(
    name: Annotated[
        str | None, typer.Argument(help="Print this experiment with every default spelled out.", metavar="NAME")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print every key with type, default and meaning (Markdown).")
    ] = False,
) -> None:
    """List the shipped experiments: start one by its name, `nowcast train NAME`."""
    if schema:
        from nowcast.config_keys import reference

        typer.echo(reference())
    elif name is not None:
        import yaml

        from nowcast.experiment_file import read_experiment
        from nowcast.shipped_configs import shipped_config

        path = shipped_config(name)
        text = yaml.safe_dump(read_experiment(path).plain(), sort_keys=False, allow_unicode=True)
        typer.echo(f"# {path}\n{text}", nl=False)
    else:
        from nowcast.shipped_configs import shipped_configs

        listed = shipped_configs()
        width = max(map(len, listed))
        for short, meaning in listed.items():
            typer.echo(f"{short:<{width}}  {meaning}")
