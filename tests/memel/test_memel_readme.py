"""The ten lines of the README run, and the tables name what exists."""

import re
import subprocess
import sys
from pathlib import Path

import memel

README = (Path(memel.__file__).parent / "README.md").read_text()


def test_the_ten_lines_run():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) <= 12
    namespace: dict[str, object] = {}
    exec(compile(code, "memel/README.md", "exec"), namespace)
    assert list(namespace["model"].state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_every_public_name_is_in_the_readme():
    assert all(name in README for name in memel.__all__ if name not in ("InhibitionEffect", "Location"))


def test_torch_and_the_standard_library_suffice():
    """Whatever torch had not imported by itself is not installed, as far as memel can see."""
    script = """
import sys, importlib.abc
import torch
known = {name.partition(".")[0] for name in sys.modules} | set(sys.stdlib_module_names)
known |= {"memel", "sympy", "mpmath", "networkx", "jinja2", "filelock", "fsspec"}  # torch's own needs
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in known:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
import memel
module = memel.MEmeL(late_start=1)
for _ in range(3):
    module(torch.randn(4, 3, requires_grad=True)).sum().backward()
found = {name for name in sys.modules if name.partition(".")[0] in ("nowcast", "pipelines", "transformers")}
assert not found, found
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(memel.__file__).parents[1])
