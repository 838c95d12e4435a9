"""Makes a component of a projection. ``kennel build`` runs it; it can be run by hand too::

    python3 sdk/componentize.py --module my_projection --output my-projection.wasm

componentize-py does the work, at the version that build-requirements.txt pins, because the bindings of this SDK fit no
other: the installed one, or with ``--tools DIR`` the one that is kept there and fetched once. The modules are copied to
a folder of their own first, because componentize-py searches whole folders, virtual environments in them included, and
leaves bytecode behind.

Exit codes: 0 made, 1 the projection or a file is wrong, 2 wrong usage, 3 componentize-py is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from types import ModuleType

SDK = os.path.dirname(os.path.abspath(__file__))
REQUIREMENTS = os.path.join(SDK, "build-requirements.txt")
with open(REQUIREMENTS, encoding="utf-8") as pins:
    VERSION = re.findall(r"^componentize-py==(\S+)", pins.read(), re.MULTILINE)[0]
PYTHON_MIN = (3, 11)
# A store that was made in the project's folder is no module.
COPIED_BYTES_MAX = 16 * 1024 * 1024
NO_MODULES = {"build", "dist", "node_modules", "sdk"}


class Problem(Exception):
    """What keeps the component from being made, and what to do about it."""

    status = 1


class Missing(Problem):
    """componentize-py is missing, and cannot be fetched."""

    status = 3


def main() -> None:
    if sys.version_info < PYTHON_MIN:
        found = "{}.{}".format(*sys.version_info[:2])
        raise Problem(f"this is Python {found}; projections take {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or later")
    parser = argparse.ArgumentParser(description="Makes a component of a projection.")
    parser.add_argument("--project", default=".", help="the folder with the projection's modules")
    parser.add_argument("--module", required=True, help="the module with the projection's class")
    parser.add_argument("--output", required=True, help="the file to write")
    parser.add_argument("--tools", help="a folder for componentize-py, where it is not installed")
    options = parser.parse_args()
    root = root_of(options.project, options.module)
    componentize_py = tool(options.tools)
    with tempfile.TemporaryDirectory(prefix="kennel-") as made:
        app, sdk = os.path.join(made, "app"), os.path.join(made, "sdk")
        copy(root, app)
        copy(os.path.join(SDK, "src"), sdk)
        component = os.path.join(made, "out.wasm")
        componentize(componentize_py, options.module, [app, sdk, *installed_packages()], component)
        place(component, options.output)


def root_of(project: str, module: str) -> str:
    """The folder that has the module: the project's, or ``src`` in it."""
    if not module.isidentifier():
        raise Problem(f"{module} cannot be the name of a module: use letters, digits and _")
    if module in sys.stdlib_module_names or module == "kennel_projection":
        owner = "this SDK" if module == "kennel_projection" else "Python itself"
        raise Problem(f"{module} is a module of {owner}: give the projection's module another name")
    for root in (os.path.join(project, "src"), project):
        if any(os.path.isfile(os.path.join(root, module + end)) for end in (".py", "/__init__.py")):
            return root
    raise Problem(f"there is no {module}.py in {os.path.abspath(project)}, nor in its folder src")


def tool(tools: str | None) -> ModuleType:
    """The module of componentize-py."""
    try:
        if importlib.metadata.version("componentize-py") == VERSION:
            return importlib.import_module("componentize_py")
    except (importlib.metadata.PackageNotFoundError, ImportError):
        pass
    if tools is None:
        raise Missing(
            f"componentize-py {VERSION} is not installed for {sys.executable}; install it with\n"
            f"    {sys.executable} -m pip install componentize-py=={VERSION}"
        )
    platform = re.sub(r"[^a-z0-9]+", "-", sysconfig.get_platform().lower())
    folder = os.path.join(os.path.abspath(tools), f"componentize-py-{VERSION}-{platform}")
    if not os.path.isdir(folder):
        fetch(folder)
    sys.path.insert(0, folder)
    # What was found before may be remembered.
    for name in [name for name in sys.modules if name.partition(".")[0] == "componentize_py"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return importlib.import_module("componentize_py")


def fetch(folder: str) -> None:
    """Puts componentize-py there, all of it or nothing."""
    say(f"fetching componentize-py {VERSION} from the package index, once")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder), prefix="fetching-") as made:
        target = os.path.join(made, "target")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "--target", target, "-r", REQUIREMENTS]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode != 0:
            raise Missing(
                f"componentize-py {VERSION} could not be fetched:\n{done.stdout.strip()}\n"
                "The command was\n    " + " ".join(command) + "\n"
                "Where pip is missing: python3 -m ensurepip, or apt-get install python3-pip"
            )
        try:
            os.rename(target, folder)
        except OSError:
            # Another process was faster.
            if not os.path.isdir(folder):
                raise


def copy(source: str, target: str) -> None:
    """Copies what may be a module or belong to one."""
    source = os.path.abspath(source)

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if is_ignored(folder, name)]

    def is_ignored(folder: str, name: str) -> bool:
        path = os.path.join(folder, name)
        if name.startswith(".") or name == "__pycache__" or (folder == source and name in NO_MODULES):
            return True
        if os.path.isdir(path):
            return os.path.isfile(os.path.join(path, "pyvenv.cfg")) or leads_back(folder, path)
        return not os.path.isfile(path) or os.path.getsize(path) > COPIED_BYTES_MAX

    def leads_back(folder: str, path: str) -> bool:
        # A link to a folder that the link itself is in would be followed without end.
        real = os.path.realpath(path)
        around = [folder]
        while around[-1] != os.path.dirname(around[-1]):
            around.append(os.path.dirname(around[-1]))
        return os.path.islink(path) and real in map(os.path.realpath, around)

    shutil.copytree(source, target, ignore=ignored)


def installed_packages() -> list[str]:
    """Where the packages of the active virtual environment are."""
    active = os.environ.get("VIRTUAL_ENV") or (sys.prefix if sys.prefix != sys.base_prefix else None)
    if active is None:
        return []
    version = "python{}.{}".format(*sys.version_info[:2])
    folders = [sysconfig.get_path("purelib")] if os.path.realpath(active) == os.path.realpath(sys.prefix) else []
    folders += [os.path.join(active, "lib", version, "site-packages"), os.path.join(active, "Lib", "site-packages")]
    return [folder for folder in folders if os.path.isdir(folder)][:1]


def componentize(componentize_py: ModuleType, module: str, python_path: list[str], component: str) -> None:
    """Runs componentize-py, which loads the module and keeps the memory that this gives."""
    try:
        componentize_py.componentize(
            wit_path=[],
            worlds=["projection"],
            features=[],
            all_features=False,
            world_module=None,
            python_path=python_path,
            module_worlds=[],
            app_name=module,
            output_path=component,
            # Without WASI the clock traps, and nothing that is printed is seen.
            stub_wasi=False,
            import_interface_names=[],
            export_interface_names=[],
            full_names=False,
            intersect_world=None,
        )
    except AssertionError as error:
        raise Problem(explained(str(error), module)) from None


def explained(text: str, module: str) -> str:
    """What the toolchain says, without its own stack, and what to do about it."""
    said = text.partition("\n\nStack backtrace:")[0].partition("\n\nCaused by:")[0].strip("\n")
    # Each folder of the path is mounted under its number.
    said = re.sub(r'File "/([0-9]+)/', lambda found: 'File "' + ("sdk/src/" if found[1] == "1" else ""), said)
    if "no attribute 'KennelProjectionBindings'" in said:
        return f"{module}.py has no projection: decorate its class with @projection(...)"
    hint = ""
    if "ModuleNotFoundError" in said:
        hint = "\nModules are those of the project and, in pure Python, of the virtual environment that is active."
    if "ZoneInfoNotFoundError" in said:
        hint = "\nTime zones are in the package tzdata: install it in a virtual environment, and activate that."
    return f"{module} cannot be loaded in a component:\n{said}{hint}"


def place(component: str, output: str) -> None:
    """Moves the component to where it was asked for, so that no one sees a part of it."""
    output = os.path.abspath(output)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    beside = output + ".part"
    try:
        shutil.copyfile(component, beside)
        os.replace(beside, output)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(beside)
        raise


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (Problem, OSError) as problem:
        say(str(problem))
        sys.exit(getattr(problem, "status", 1))
    except KeyboardInterrupt:
        sys.exit(130)
