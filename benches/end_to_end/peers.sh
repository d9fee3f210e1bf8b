#!/usr/bin/env bash
# Fetches the userspace WireGuards that vpnd is compared with into DIR/bin, once.
# One that cannot be had is named, and its column of the benchmark stays out.
#
#   peers.sh DIR
set -euo pipefail
peers=$1
mkdir -p "$peers/bin"
peers=$(realpath "$peers")

left_out() { printf 'peers: %s could not be had: %s\n' "$1" "$(tail -n 1 "$peers/log")" >&2; }

# Debian's newest package, unpacked and not installed: bookworm's is older than the offloads (2023).
# apt works on lists of its own here, so that the machine's are left alone.
wireguard_go() {
    [ "$(. /etc/os-release && echo "$ID")" = debian ] || { echo "this is not Debian" && return 1; }
    local apt=$peers/apt package
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    local options=(
        -o "Dir::Etc::SourceList=$apt/sources" -o Dir::Etc::SourceParts=-
        -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt"
        -o Acquire::Languages=none -o APT::Sandbox::User=root
    )
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %s main\n' \
        trixie sid >"$apt/sources"
    apt-get "${options[@]}" -q update || return 1
    (cd "$apt" && apt-get "${options[@]}" -q download wireguard-go) || return 1
    package=$(ls "$apt"/wireguard-go_*.deb) || return 1
    dpkg -x "$package" "$apt/unpacked" || return 1
    dpkg-deb -f "$package" Version >"$peers/wireguard-go.version" || return 1
    "$apt/unpacked/usr/bin/wireguard-go" --version || return 1
    mv "$apt/unpacked/usr/bin/wireguard-go" "$peers/bin/"
    rm -rf "$apt"
}

from_crates() { # PACKAGE
    CARGO_TARGET_DIR=$peers/build cargo install --locked --root "$peers" "$1" || return 1
    rm -rf "$peers/build"
}

fetch() { # PROGRAM COMMAND...
    [ -x "$peers/bin/$1" ] || "${@:2}" >"$peers/log" 2>&1 || left_out "$1"
}

fetch wireguard-go wireguard_go
fetch boringtun-cli from_crates boringtun-cli
fetch gotatun from_crates gotatun-cli
