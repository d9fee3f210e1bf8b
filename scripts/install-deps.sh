#!/usr/bin/env bash
# Installs what the demo and the interoperability tests need, on Debian and its
# descendants. Quiet, does nothing when everything is there, and says what is missing.
#
#   install-deps.sh [bench]     with what `make bench-e2e` needs besides
set -euo pipefail

# package : what shows that it is installed
wanted=(
    "strongswan-starter:/usr/sbin/ipsec"
    "strongswan-charon:/usr/lib/ipsec/charon"
    "libstrongswan-standard-plugins:/usr/lib/ipsec/plugins/libstrongswan-openssl.so"
    "libcharon-extra-plugins:/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"
    "libcharon-extauth-plugins:/usr/lib/ipsec/plugins/libstrongswan-xauth-generic.so"
    "iproute2:ip"
    "ethtool:ethtool"
    "nftables:nft"
    "iputils-ping:ping"
    "tcpdump:tcpdump"
    "python3:python3"
    "procps:ps"
    "util-linux:nsenter"
    "util-linux:prlimit"
    "make:make"
    "gcc:cc"
    "g++:c++"
)
if [ "${1:-}" = bench ]; then
    wanted+=("iperf3:iperf3" "wireguard-tools:wg")
fi

PATH=$PATH:/usr/sbin:/sbin

present() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing_packages() {
    local entry
    for entry in "${wanted[@]}"; do
        present "${entry#*:}" || printf '%s\n' "${entry%%:*}"
    done
}

say() { printf 'install-deps: %s\n' "$*" >&2; }

require_cargo() {
    command -v cargo >/dev/null 2>&1 && return
    say "cargo is missing: install Rust (https://rustup.rs), then run this again"
    exit 1
}

require_tun() {
    [ -c /dev/net/tun ] && return
    [ "$(id -u)" -eq 0 ] && mkdir -p /dev/net && mknod -m 600 /dev/net/tun c 10 200 2>/dev/null && return
    say "/dev/net/tun is missing, and without it neither vpnd nor the test gateway can work: load the kernel module 'tun'"
    exit 1
}

install() {
    local packages=("$@") log
    if [ "$(id -u)" -ne 0 ]; then
        say "missing: ${packages[*]}"
        say "not root, so nothing was installed; run: sudo apt-get install --no-install-recommends ${packages[*]}"
        exit 1
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        say "missing: ${packages[*]} (Debian's names)"
        say "there is no apt-get here; install them by this system's own means"
        exit 1
    fi
    say "installing ${packages[*]}"
    log=$(mktemp)
    # No service may start by itself: the tests run their own charon in a network namespace.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made_policy=yes
    fi
    export DEBIAN_FRONTEND=noninteractive
    local ok=yes
    {
        apt-get update -q && apt-get install -q -y --no-install-recommends "${packages[@]}"
    } >"$log" 2>&1 </dev/null || ok=
    [ -z "$made_policy" ] || rm -f "$policy"
    if [ -z "$ok" ]; then
        say "apt-get failed; its last lines:"
        tail -n 15 "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}

require_cargo
mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -gt 0 ]; then
    install "${missing[@]}"
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -gt 0 ]; then
        say "still missing after the installation: ${missing[*]}"
        exit 1
    fi
fi
require_tun
