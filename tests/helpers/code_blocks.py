"""The Python code in the documents, as programs that can be run.

The code blocks of a document are one program, in their order: a later block may use what an earlier one made. Comments
that a reader does not see say more:

    <!-- a program of its own -->   another program begins with the next block
    <!-- setup ... -->              code that runs first, for a block that shows a part of a program only
    <!-- prints -->                 the text block that follows is what has been printed since the last such block
    <!-- needs NAME, NAME -->       packages or servers without which this program is not run
    <!-- not run: why -->           the next block is not run
"""

import re
from dataclasses import dataclass, field

PART = re.compile(
    r"<!-- (?P<comment>[^>]*?)\s*-->|^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass
class Program:
    """Blocks that run in one process."""

    name: str
    blocks: list = field(default_factory=list)  # [line, code, what is printed since the block before or None]
    needs: set = field(default_factory=set)


def programs(path, name):
    """The programs in a document (list of Program)."""
    text = path.read_text()
    found, prints, run = [Program(name)], False, True
    for part in PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        comment, language = part["comment"], part["language"]
        if comment is not None:
            word, _, rest = comment.partition("\n") if comment.startswith("setup") else comment.partition(" ")
            if comment == "a program of its own":
                found.append(Program(f"{name}:{line}"))
            elif word == "setup":
                found[-1].blocks.append([line + 1, rest, None])
            elif comment == "prints":
                prints = True
            elif word == "needs":
                found[-1].needs |= {each.strip() for each in rest.split(",")}
            elif comment.startswith("not run:"):
                run = False
        elif prints:
            found[-1].blocks[-1][2] = part["code"]
            prints = False
        elif language == "python":
            if run:
                code = re.sub(rf"^{part['indent']}", "", part["code"], flags=re.MULTILINE)
                found[-1].blocks.append([line + 1, code, None])
            run = True
    return [program for program in found if program.blocks]
