"""A server on the official Python SDK: python-server.py stdio | http | sse"""

import sys
import warnings

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

warnings.simplefilter("ignore")
server = MCPServer("python-server", log_level="INFO")


class Name(BaseModel):
    name: str


@server.tool()
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@server.tool()
async def steps(count: int, ctx: Context) -> str:
    """Reports progress and logs."""
    for step in range(1, count + 1):
        await ctx.report_progress(step, count)
    await ctx.info("said while working")
    return "done"


@server.tool()
async def greet(ctx: Context) -> str:
    """Asks the user for a name."""
    answer = await ctx.elicit("What is your name?", Name)
    return f"Hello, {answer.data.name}!" if answer.action == "accept" else answer.action


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("it cannot be done")


@server.resource("note://{name}")
def note(name: str) -> str:
    return f"a note for {name} with an umlaut: ü"


way = sys.argv[1]
if way == "stdio":
    server.run("stdio")
elif way == "http":
    server.run("streamable-http", port=0)
else:
    server.run("sse", port=0)
