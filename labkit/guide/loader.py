"""Find the labs and load the checks that lie beside a notebook."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from labkit.guide.steps import Lab


def labs_folder() -> Path:
    """Where the labs are: ``LABKIT_LABS``, the checkout's ``labs/``, or the copy inside an installed package."""
    if named := os.environ.get("LABKIT_LABS"):
        return Path(named)
    package = Path(__file__).resolve().parents[1]
    for candidate in (package.parent / "labs", package / "_labs"):
        if (candidate / "00-start-here.ipynb").is_file():
            return candidate
    raise FileNotFoundError("the labs are not here: set LABKIT_LABS to the folder that holds 00-start-here.ipynb")


def find_labs() -> list[str]:
    """The ids of all labs, in reading order: ``00-start-here``, ``swarm/01-managers-and-raft``…"""
    root = labs_folder()
    ids = [path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.ipynb") if _is_lab(path)]
    return sorted(ids, key=lambda lab_id: lab_id.rsplit("/", 1)[-1])


def _is_lab(path: Path) -> bool:
    return ".ipynb_checkpoints" not in path.parts and path.name[:2].isdigit()


def load_lab(lab_id: str) -> Lab:
    """The lab's data. The checks of ``swarm/02-x-y`` are ``labs/swarm/checks/x_y.py``; its ``LAB`` is the lab.

    Raises ``FileNotFoundError`` naming the labs that exist.
    """
    root = labs_folder()
    folder, _, name = lab_id.rpartition("/")
    module_name = name[3:].replace("-", "_")
    path = root / folder / "checks" / f"{module_name}.py"
    if not path.is_file():
        raise FileNotFoundError(f"there is no lab {lab_id!r}; there are {', '.join(find_labs())}")
    package = _package(path.parent, f"labkit_checks_{folder.replace('/', '_') or 'top'}")
    module = _load(path, f"{package.__name__}.{module_name}")
    lab = module.LAB
    assert isinstance(lab, Lab)
    return lab


def _package(folder: Path, name: str) -> ModuleType:
    """The checks folder as a package of its own name, so that checks can share helpers by relative import."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_loader(name, loader=None, is_package=True)
        assert spec
        module = importlib.util.module_from_spec(spec)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    return sys.modules[name]


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
