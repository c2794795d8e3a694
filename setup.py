"""What pyproject.toml cannot say: configs/ stands at the top of the repository and travels inside the package."""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONFIGS = sorted(path.as_posix() for path in Path("configs").rglob("*.yaml"))


class BuildWithConfigs(build_py):
    """Copies configs/ to nowcast/configs/ in the wheel; an editable install finds them in the repository."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in zip(CONFIGS, self._targets(), strict=True):
                self.mkpath(os.path.dirname(target))
                self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *CONFIGS]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._targets()]

    def _targets(self) -> list[str]:
        return [os.path.join(self.build_lib, "nowcast", path) for path in CONFIGS]


setup(cmdclass={"build_py": BuildWithConfigs})
