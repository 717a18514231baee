"""The wheel carries `mappings/` and `profiles/`, which stand beside the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DATA = ("mappings", "profiles")


class BuildWithData(build_py):
    """Copies the data folders into the package; an editable install finds them where they are."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        for name in DATA:
            if Path(name).is_dir():
                target = Path(self.build_lib) / "fhir_hub" / name
                shutil.copytree(name, target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithData})
