# Sourced: fetch_promtool FOLDER puts Prometheus' promtool into FOLDER/bin, once.

# Debian's package would start a server, and only one of its programs is wanted.
fetch_promtool() {
    local folder=$1 fetched
    if [[ -x $folder/bin/promtool ]]; then
        return
    fi
    fetched=$(mktemp -d -p "$folder")
    (
        cd "$fetched"
        # as root, apt-get fetches as a user who may not write here
        apt-get -o APT::Sandbox::User=root download -qq prometheus || {
            apt-get update -qq
            apt-get -o APT::Sandbox::User=root download -qq prometheus
        }
        dpkg-deb --extract prometheus_*.deb .
    )
    mv "$fetched/usr/bin/promtool" "$folder/bin/promtool"
    rm -rf "$fetched"
}
