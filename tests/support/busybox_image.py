"""A container image of Debian's static busybox as a docker archive, for tests that run pods."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

__all__ = ["BUSYBOX", "write_busybox_archive"]

BUSYBOX = Path("/usr/bin/busybox")
_APPLETS = (
    "sh ls cat echo sleep env id hostname mount touch ps true false test nc httpd wget head tail dd stat printf date "
    "kill mkdir rm grep wc readlink df awk tee ip ping nslookup stty tty seq cut tr sync sha256sum"
)


def write_busybox_archive(path: Path, *names: str) -> None:
    """Write an image under these names; it runs `sleep infinity` and has the usual tools in /bin."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "tmp", "etc", "proc", "sys", "dev", "var", "var/run"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        info = tarfile.TarInfo("bin/busybox")
        data = BUSYBOX.read_bytes()
        info.size, info.mode = len(data), 0o755
        tar.addfile(info, io.BytesIO(data))
        for applet in _APPLETS.split():
            info = tarfile.TarInfo(f"bin/{applet}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        for name, text in {
            "etc/passwd": "root:x:0:0:root:/:/bin/sh\nqemu:x:107:107:qemu:/:/bin/sh\n",
            "etc/group": "root:x:0:\nqemu:x:107:\n",
        }.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    content = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sleep", "infinity"], "Env": ["PATH=/bin"], "StopSignal": "SIGTERM"},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(content).hexdigest()]},
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": list(names), "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in (("layer.tar", content), (config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
