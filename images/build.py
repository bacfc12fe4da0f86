"""Builds one image: `python3 images/build.py virt-launcher --out launcher.tar`.

Exit status 0, or 1 with one message on standard error. Progress goes to standard output, a line a step.
"""

import argparse
import importlib
import os
import sys
import tempfile
import tomllib
from pathlib import Path

IMAGES = Path(__file__).resolve().parent
sys.path.insert(0, str(IMAGES))

from kobune_images.archive import write_archive  # noqa: E402
from kobune_images.context import Build  # noqa: E402
from kobune_images.debian import BuildError  # noqa: E402

RECIPES = {
    "pause": "pause",
    "virt-launcher": "launcher",
    "demo": "demo",
    "demo-generic": "demo_generic",
    "toolbox": "toolbox",
}


def main() -> int:
    """Parse the command line, run the recipe, move the finished archive into place."""
    described = tomllib.loads((IMAGES / "images.toml").read_text())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--out", type=Path, required=True, help="the OCI archive to write")
    parser.add_argument("--reference", default="", help="what the image is called; default: as in images.toml")
    parser.add_argument("--cache", type=Path, default=Path("/var/tmp/kobune-layers"), help="folder for costly layers")
    parser.add_argument("--package", type=Path, default=IMAGES.parent / "src/kobune", help="the kobune package")
    options = parser.parse_args()
    about = described[options.name]
    reference = options.reference or about["reference"]
    package = options.package.resolve()
    sources = {
        path.relative_to(package).as_posix()
        for pattern in about.get("sources", ())
        for path in package.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    recipe = importlib.import_module(f"kobune_images.{RECIPES[options.name]}")
    with tempfile.TemporaryDirectory(prefix="build-", dir=options.out.parent) as work:
        folder = Path(work)
        # mmdebstrap's unprivileged mode writes as another user.
        folder.chmod(0o711)
        build = Build(
            IMAGES, package, tuple(sorted(sources)), folder, options.cache, lambda text: print(text, flush=True)
        )
        try:
            image = recipe.build(build)
            partial = folder / "image.tar"
            write_archive(partial, reference, image.layers, image.config)
        except BuildError as error:
            print(error, file=sys.stderr)
            return 1
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
