#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SMAPIv3 datapath plugin: volumes that xenblkd serves, as backends of class vbd3.

xapi-storage-script runs one program for each call, named after it, with --json: arguments come as JSON on
standard input, the result goes as JSON to standard output; with status 1 that is an error. All names are
links to this file.

A volume's URI is one of
    xenblkd:///srv/vm.img                               a file or a block device
    xenblkd://nvme/0000:05:00.0/1[/PARTLABEL=vm1]       an NVMe drive, or a partition of it
and may end in ?transfer=WORD.
"""
import json
import os
import stat
import sys
import urllib.parse

BACKEND = "vbd3"


class Failure(Exception):
    """What XAPI is told: a code, and parameters in words."""

    def __init__(self, code, *params):
        super().__init__(code, *params)
        self.code = code
        self.params = [str(p) for p in params]


def parse(uri):
    """The path in dom0, or None; and the target, as xenblkd(8) has it."""
    parts = urllib.parse.urlsplit(uri)
    path = urllib.parse.unquote(parts.path)
    query = urllib.parse.parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    if parts.scheme != "xenblkd" or parts.fragment or set(query) - {"transfer"}:
        raise Failure("SR_BACKEND_FAILURE", "uri", uri,
                      "expected xenblkd:///PATH or xenblkd://nvme/ADDRESS/NAMESPACE, and ?transfer=WORD at most")
    transfer = "?transfer=" + query["transfer"][0] if query else ""
    if parts.netloc == "nvme":
        return None, "nvme:" + path.lstrip("/") + transfer
    if parts.netloc or not path.startswith("/"):
        raise Failure("SR_BACKEND_FAILURE", "uri", uri, "expected xenblkd:///PATH, with three slashes")
    return path, "file:" + path + transfer


def kind_of(path):
    """What XAPI calls what is at path, if dom0 can use it as well."""
    try:
        mode = os.stat(path).st_mode
    except OSError as e:
        raise Failure("SR_BACKEND_FAILURE", "volume", path, e.strerror) from e
    if stat.S_ISBLK(mode):
        return "BlockDevice"
    if stat.S_ISREG(mode):
        return "File"
    raise Failure("SR_BACKEND_FAILURE", "volume", path, "expected a regular file or a block device")


def datapath_open(args):
    path, _ = parse(args["uri"])
    if not args["persistent"]:
        raise Failure("Unimplemented", "Datapath.open: persistent=false, writes that are thrown away")
    if path:
        kind_of(path)


def datapath_attach(args):
    path, target = parse(args["uri"])
    choices = [["XenDisk", {"params": target, "extra": {}, "backend_type": BACKEND}]]
    if path:
        choices.append([kind_of(path), {"path": path}])
    return {"implementations": choices}


def checked(args):
    """The daemon opens a disk when its nodes appear, and lets go of it when they go: nothing is left to do."""
    parse(args["uri"])


def nothing(args):
    """Must not fail."""


def query(args):
    return {
        "plugin": "xenblkd",
        "name": "xenblkd",
        "description": "Files, block devices and NVMe drives, served by xenblkd",
        "vendor": "the xenblkd authors",
        "copyright": "BSD-2-Clause",
        "version": "1.0",
        "required_api_version": "5.0",
        "features": [],
        "configuration": {},
        "required_cluster_stack": [],
    }


CALLS = {
    "Plugin.Query": (query, {"dbg": str}),
    "Datapath.open": (datapath_open, {"dbg": str, "uri": str, "persistent": bool}),
    "Datapath.attach": (datapath_attach, {"dbg": str, "uri": str, "domain": str}),
    "Datapath.activate": (checked, {"dbg": str, "uri": str, "domain": str}),
    "Datapath.deactivate": (checked, {"dbg": str, "uri": str, "domain": str}),
    "Datapath.detach": (nothing, {"dbg": str, "uri": str, "domain": str}),
    "Datapath.close": (nothing, {"dbg": str, "uri": str}),
}


def call(name, text):
    if name not in CALLS:
        raise Failure("Unimplemented", name)
    function, wanted = CALLS[name]
    try:
        args = json.loads(text)
    except ValueError as e:
        raise Failure("UnmarshalException", "arguments", "dict", str(e)) from e
    if not isinstance(args, dict):
        raise Failure("UnmarshalException", "arguments", "dict", repr(args))
    for parameter, kind in wanted.items():
        if not isinstance(args.get(parameter), kind):
            raise Failure("TypeError", parameter, kind.__name__, repr(args.get(parameter)))
    return function(args)


def main():
    name = os.path.basename(sys.argv[0])
    try:
        if "--json" not in sys.argv[1:] and "-j" not in sys.argv[1:]:
            raise Failure("Unimplemented", name + " without --json")
        result = call(name, sys.stdin.read())
    except Failure as e:
        json.dump({"code": e.code, "params": e.params,
                   "backtrace": {"error": " ".join(e.params), "files": [], "lines": []}}, sys.stdout)
        return 1
    json.dump(result, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
