"""`looptool serve` on the command line. Light to import."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from looptool.evaluate.command import Cache, Checkpoint, Format, Guided, Model


def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is everyone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    name: Annotated[
        Optional[str],  # noqa: UP045 (typer reads the annotation at run time)
        typer.Option(help="What clients call the model."),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(help="Where an answer is cut if the client does not say.", min=1)
    ] = 512,
    guided: Guided = False,
    checkpoint: Checkpoint = None,
    format: Format = None,
    cache: Cache = None,
) -> None:
    """Serve a model as an OpenAI-compatible chat endpoint, with tools. Ctrl-C ends it."""
    from looptool.evaluate.contender import find_contender
    from looptool.evaluate.environment import cache_folder
    from looptool.models.engine import load_engine
    from looptool.serve.server import ChatServer

    contender = find_contender(model, cache_folder(cache), checkpoint, format)
    engine = load_engine(contender.policy, contender.checkpoint)
    server = ChatServer(engine, name or contender.name, host, port, max_new_tokens, guided)
    print(f"serving {server.name} at {server.url}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("stopped")
    finally:
        server.close()
