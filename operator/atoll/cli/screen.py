"""Text for the terminal: with its colours and width where standard output is one, plain where it is not."""

from rich.console import Console, RenderableType


def drawn(content: RenderableType) -> str:
    """What a terminal, a file or a pipe is to get."""
    console = Console()
    with console.capture() as captured:
        console.print(content)
    return captured.get()
