"""Makes libraries to link a CUDA program against on a machine that has none of them.

usage: stub_libraries.py FOLDER CUDA_HOME

Each has the name and the functions of the real one (as cudarc declares them) and no content: the
program that is linked against them asks for the real ones when it starts. Also makes quantised.o, which
defines the functions that candle's kernels for quantised models would define.
"""

import json
import pathlib
import re
import subprocess
import sys

# the library, the version in its name, and the part of cudarc that declares it
LIBRARIES = [
    ("cuda", 1, "driver"),
    ("cublas", 13, "cublas"),
    ("cublasLt", 13, "cublaslt"),
    ("curand", 10, "curand"),
    ("nvrtc", 13, "nvrtc"),
]


def source_of(package):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--features", "cuda"]
    packages = json.loads(subprocess.check_output(command))["packages"]
    [manifest] = [p["manifest_path"] for p in packages if p["name"] == package]
    return pathlib.Path(manifest).parent / "src"


def functions(text, names=r"\w+"):
    return sorted(set(re.findall(rf"\bfn ({names})\(", text)))


def compile_c(text, output, *arguments):
    subprocess.run(["cc", "-x", "c", "-w", "-fno-builtin", *arguments, "-o", output, "-"], input=text.encode(), check=True)


def main():
    folder, cuda_home = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    cudarc = source_of("cudarc")
    for name, version, module in LIBRARIES:
        text = "".join(path.read_text() for path in sorted((cudarc / module / "sys").rglob("*.rs")))
        body = "\n".join(f"void {function}(void) {{}}" for function in functions(text, r"(?:cu|nvrtc)\w+"))
        soname = f"lib{name}.so.{version}"
        compile_c(body, folder / f"lib{name}.so", "-shared", "-fPIC", f"-Wl,-soname,{soname}")

    [runtime] = (cuda_home / "lib").glob("libcudart.so.*")
    link = folder / "libcudart.so"
    link.unlink(missing_ok=True)
    link.symlink_to(runtime.resolve())

    declared = functions((source_of("candle-kernels") / "ffi.rs").read_text())
    stop = """
    #include <stdio.h>
    #include <stdlib.h>
    static void stop(const char *name) {
        fprintf(stderr, "%s: this build has no kernels for quantised models\\n", name);
        abort();
    }
    """
    body = "\n".join(f'void {function}(void) {{ stop("{function}"); }}' for function in declared)
    compile_c(stop + body, folder / "quantised.o", "-c", "-fPIC")


main()
