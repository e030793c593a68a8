"""Images for a node that can reach no registry: programs of this machine with the libraries they need, in one layer.

No Docker is needed: what is written is what `docker save` writes, and containerd imports it."""

import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
USER = 65532


def libraries(program):
    """Shared libraries of a program, by the path that the loader looks them up by."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True)
    return re.findall(r"(/\S+) \(0x", done.stdout)


def put(root, source, target=None):
    """Copies a file with its libraries to the same place (or `target`) below root."""
    target = root / (target or str(source).lstrip("/"))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
    for library in libraries(source):
        place = root / library.lstrip("/")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(library, place)
            place.chmod(0o755)


def base(root):
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text(f"retail:x:{USER}:{USER}::/data:/bin/false\n")
    (root / "etc/group").write_text(f"retail:x:{USER}:\n")
    for folder in ("tmp", "data", "s3", "run/postgresql", "var/lib/postgresql/data"):
        (root / folder).mkdir(parents=True)
    (root / "var/run").symlink_to("/run")


def retail(root, programs):
    """The one program under its four names, as the Dockerfile's target `all` has it."""
    base(root)
    put(root, programs / "retail", "usr/local/bin/retail")
    subprocess.run(["strip", root / "usr/local/bin/retail"], check=False)
    for program in ("scheduler", "executor", "operator", "submit"):
        (root / f"usr/local/bin/retail-{program}").symlink_to("retail")


def servers(root, versitygw):
    """PostgreSQL and the S3 gateway, for the manifests of kind/stores.yaml."""
    base(root)
    for tool in ("bash", "sh", "cat", "mkdir", "id", "mktemp", "env"):
        put(root, shutil.which(tool), f"bin/{tool}")
    put(root, versitygw, "usr/local/bin/versitygw")
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not installed:
        raise FileNotFoundError("PostgreSQL is not installed")
    home = installed[-1].parents[1]
    version = home.name
    for program in ("postgres", "initdb", "pg_isready"):
        put(root, home / "bin" / program)
    for library in ("plpgsql.so", "dict_snowball.so"):
        put(root, home / "lib" / library)
    for library in sorted((home / "lib").glob("*_and_*.so")) + sorted((home / "lib").glob("libpqwalreceiver.so")):
        put(root, library)
    shutil.copytree("/usr/lib/locale/C.utf8", root / "usr/lib/locale/C.utf8")
    share = pathlib.Path("/usr/share/postgresql") / version
    shutil.copytree(share, root / str(share).lstrip("/"), ignore=shutil.ignore_patterns("man", "extension"))
    (root / str(share).lstrip("/") / "extension").mkdir()
    for file in (share / "extension").glob("plpgsql*"):
        shutil.copy(file, root / str(file).lstrip("/"))
    (root / "usr/share/zoneinfo").mkdir()
    shutil.copy("/usr/share/zoneinfo/UTC", root / "usr/share/zoneinfo/UTC")
    for program in ("postgres", "initdb", "pg_isready"):
        (root / "usr/local/bin" / program).symlink_to(home / "bin" / program)
    shutil.copy(ROOT / "tests/images/stand-ins/postgres.sh", root / "postgres.sh")


def prometheus(root, program):
    """Prometheus, for the manifests of kind/monitoring.yaml."""
    base(root)
    put(root, program, "bin/prometheus")
    (root / "prometheus").mkdir()


def archive(name, root, path, entrypoint=(), user=f"{USER}:{USER}"):
    """Writes the folder as an image that containerd can import."""

    def owner(entry):
        # As the Dockerfile has it: folders to write to belong to the user, the rest to root.
        writable = entry.name in ("./data", "./s3", "./run/postgresql", "./var/lib/postgresql/data")
        entry.uid = entry.gid = USER if writable else 0
        entry.uname = entry.gname = ""
        entry.mtime = 0
        if entry.name == "./tmp":
            entry.mode = 0o1777
        elif entry.isdir():
            entry.mode = 0o755
        return entry

    with tempfile.NamedTemporaryFile(dir=path.parent) as layer:
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.add(root, ".", filter=owner)
        layer.flush()
        layer.seek(0)
        digest = hashlib.file_digest(layer, "sha256").hexdigest()
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Entrypoint": list(entrypoint), "User": user, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }).encode()
        names = [name] if isinstance(name, str) else list(name)
        manifest = json.dumps([{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]).encode()
        with tarfile.open(path, "w") as tar:
            for file, content in (("manifest.json", manifest), ("config.json", config)):
                entry = tarfile.TarInfo(file)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            tar.add(layer.name, "layer.tar")


def load(socket, name, fill, entrypoint=()):
    """Makes the image and puts it into the node's containerd."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "root"
        root.mkdir()
        fill(root)
        path = pathlib.Path(folder) / "image.tar"
        archive(name, root, path, entrypoint)
        subprocess.run(["ctr", "-a", socket, "-n", "k8s.io", "images", "import", path], check=True, capture_output=True)


if __name__ == "__main__":
    # images.py NAME:TAG FOLDER OUT.tar ENTRYPOINT...: the folder as an image that runs as root.
    archive(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]).resolve(), sys.argv[4:], user="")
