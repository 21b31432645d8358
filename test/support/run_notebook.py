"""Runs the cells of a notebook one after the other, and prints what each would show."""

import ast
import json
import sys

scope: dict = {}
with open(sys.argv[1]) as file:
    cells = json.load(file)["cells"]
for cell in cells:
    if cell["cell_type"] != "code":
        continue
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell["id"], "exec"), scope)
    if last is not None:
        print(eval(compile(ast.Expression(last.value), cell["id"], "eval"), scope))
