"""Prepare this folder to run Hongyan: Python packages, Node, test packages, web pages; each only when needed.

Called by the Makefile as `python3 tools/prepare.py STEP...`, with the steps in the order given. A step leaves
a stamp in `.venv/.stamps` that holds a digest of its inputs, and does nothing while the digest and its output
are unchanged. It runs before anything is installed, so it uses only the standard library.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".stamps"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
WEB = ROOT / "web"
WEB_DIST = ROOT / "src" / "hongyan" / "web_dist"
LEANCLOUD = VENV / "leancloud"
JOURNEYS_JS = ROOT / "tests" / "journeys" / "js"

SERVICES = ["chromium", "fonts-noto-cjk", "ejabberd", "erlang-p1-pgsql", "postgresql"]
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NPM_CONFIG_UPDATE_NOTIFIER": "false"}
# Not compiled: Python does that with what it imports, and the tests import few modules of the platforms' SDKs.
INSTALL = ["install", "--no-compile", "--require-hashes", "--no-deps", "-r"]
OLDEST_PYTHON = (3, 11)
NEWEST_LEANCLOUD = (3, 11)  # there are no wheels of its gevent for later Pythons
OLDEST_NODE = (20, 19)  # the oldest that current web build tools accept


def main(steps: list[str]) -> None:
    """Run the named steps."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"Hongyan needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}.")
    for step in steps:
        STEPS[step]()


def serve() -> None:
    """Install what the server needs, and the package itself in place."""
    make_venv()
    install_lock("serve", instead_of="dev")
    install_package()


def dev() -> None:
    """Install what development and the tests need, which includes what the server needs."""
    make_venv()
    install_lock("dev")
    install_package()


def node() -> None:
    """Install Node from PyPI into the virtual environment unless the machine has a recent one."""
    if system_node_is_recent():
        return
    make_venv()
    install_lock("node")


def journeys() -> None:
    """Install the official SDKs that the journeys drive."""
    install_node_modules(JOURNEYS_JS)
    install_leancloud()


def web() -> None:
    """Build the web pages if they are absent or differ from their sources."""
    sources = list(web_sources())
    if not sources or is_current("web", sources, WEB_DIST / "index.html"):
        return
    node()
    install_node_modules(WEB)
    say("Building the web pages")
    made_from = digest(sources)  # they may change while it is built
    run(npm(), "run", "build", cwd=WEB)
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / "web").write_text(made_from)


def services() -> None:
    """Install the browser of Debian, a font with Chinese characters for its pictures, and servers to compare with."""
    absent = [package for package in SERVICES if not works("dpkg-query", "-s", package)]
    if absent:
        install_debian_packages(absent, "These tests drive a browser and other servers")


STEPS: dict[str, Callable[[], None]] = {f.__name__: f for f in (serve, dev, node, journeys, web, services)}


def make_venv() -> None:
    """Create the virtual environment, with pip, unless a working one exists."""
    if PYTHON.exists() and works(PYTHON, "-m", "pip", "--version"):
        return
    say("Creating .venv")
    if find_spec("ensurepip"):
        run(sys.executable, "-m", "venv", "--clear", VENV)
    elif find_spec("pip"):
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
        run(sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet", "pip")
    else:  # Debian ships ensurepip apart from Python
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        install_debian_packages([package], "This Python cannot make virtual environments")
        run(sys.executable, "-m", "venv", "--clear", VENV)


def install_debian_packages(packages: list[str], reason: str) -> None:
    """Install packages of Debian, or end with one sentence that says how to."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"{reason}: run `apt-get install {' '.join(packages)}` as root first.")
    say(f"{reason}: installing Debian's {' '.join(packages)}")
    run("apt-get", "update", "-qq", quiet=True)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, quiet=True)


def install_lock(name: str, instead_of: str | None = None) -> None:
    """Install a lock file's packages, unless it or the larger lock `instead_of` is installed already."""
    if instead_of and is_current(instead_of, [lock(instead_of)], PYTHON):
        return
    if is_current(name, [lock(name)], PYTHON):
        return
    say(f"Installing requirements/{name}.txt")
    pip(*INSTALL, lock(name))
    stamp(name, [lock(name)])


def install_package() -> None:
    """Install Hongyan in place, with the pinned build tools and no download."""
    inputs = [ROOT / "pyproject.toml", ROOT / "src" / "hongyan" / "__init__.py"]
    if is_current("package", inputs, VENV / "bin" / "hongyan"):
        return
    say("Installing hongyan in place")
    pip("install", "--no-build-isolation", "--no-deps", "--no-index", "--editable", ROOT)
    stamp("package", inputs)


def install_node_modules(folder: Path) -> None:
    """Install a folder's locked npm packages. Their install scripts are not run: none is needed."""
    inputs = [folder / "package.json", folder / "package-lock.json"]
    name = "npm-" + folder.relative_to(ROOT).as_posix().replace("/", "-")
    if is_current(name, inputs, folder / "node_modules"):
        return
    say(f"Installing {folder.relative_to(ROOT)}/package-lock.json")
    run(npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=folder)
    stamp(name, inputs)


def install_leancloud() -> None:
    """Install LeanCloud's SDK for servers in an environment of its own, inside the other one."""
    if sys.version_info[:2] > NEWEST_LEANCLOUD or is_current("leancloud", [lock("leancloud")], LEANCLOUD):
        return
    say("Installing requirements/leancloud.txt into .venv/leancloud")
    run(PYTHON, "-m", "venv", "--clear", "--without-pip", LEANCLOUD)
    python = LEANCLOUD / "bin" / "python"
    pip("--python", python, *INSTALL, lock("leancloud"))
    stamp("leancloud", [lock("leancloud")])


def web_sources() -> Iterable[Path]:
    """Every file that the built web pages depend on."""
    for path in sorted(WEB.rglob("*")):
        if path.is_file() and "node_modules" not in path.parts:
            yield path


def system_node_is_recent() -> bool:
    """Whether the machine itself has npm and a recent Node."""
    path = os.environ.get("PATH", "").replace(f"{VENV / 'bin'}:", "")
    program = shutil.which("node", path=path)
    if not program or not shutil.which("npm", path=path):
        return False
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", answer))
    return version >= OLDEST_NODE


def npm() -> str:
    """The npm to use: the one in the virtual environment if there is one."""
    program = shutil.which("npm", path=search_path())
    return program or sys.exit("npm was not found.")


def search_path() -> str:
    """The PATH of every step: the virtual environment's programs first."""
    return f"{VENV / 'bin'}:{os.environ.get('PATH', '')}"


def is_current(name: str, inputs: Iterable[Path], output: Path) -> bool:
    """Whether a step's output exists and was made from inputs with this content."""
    file = STAMPS / name
    return output.exists() and file.exists() and file.read_text() == digest(inputs)


def stamp(name: str, inputs: Iterable[Path]) -> None:
    """Remember the inputs from which a step has just made its output."""
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / name).write_text(digest(inputs))


def digest(inputs: Iterable[Path]) -> str:
    """A digest of the names and contents of files."""
    total = hashlib.sha256()
    for path in inputs:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return total.hexdigest()


def lock(name: str) -> Path:
    """The path of a lock file."""
    return REQUIREMENTS / f"{name}.txt"


def pip(*arguments: str | Path) -> None:
    """Run the virtual environment's pip."""
    run(PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


def run(*command: str | Path, cwd: Path = ROOT, quiet: bool = False) -> None:
    """Run a command in a folder; end the program with one sentence if it fails."""
    environment = {**os.environ, "PATH": search_path(), **QUIET}
    output = subprocess.DEVNULL if quiet else None
    try:
        subprocess.run(command, cwd=cwd, env=environment, stdout=output, check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"`{' '.join(map(str, command))}` failed with status {error.returncode}.")


def works(*command: str | Path) -> bool:
    """Whether a command ends well."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def say(text: str) -> None:
    """Tell the person what happens."""
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
