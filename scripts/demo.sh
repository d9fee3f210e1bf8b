#!/usr/bin/env bash
# vpnd against a real strongSwan gateway, in two network namespaces of this machine, with
# IKEv1 and then with IKEv2: the host's own network is not touched. Needs root, for the
# namespaces and the packages.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

bold='' plain=''
[ ! -t 1 ] || bold=$'\e[1m' plain=$'\e[0m'
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
indent() { sed 's/^/    /'; }
fail() {
    printf '\ndemo failed: %s\n' "$*" >&2
    exit 1
}

if [ "$(id -u)" -ne 0 ]; then
    fail "network namespaces need root; run: sudo -E make demo"
fi
scripts/install-deps.sh || fail "something is missing, see above"

step "Building vpnd"
cargo build --release --locked --bin vpnd 2>&1 | indent
vpnd=${CARGO_TARGET_DIR:-target}/release/vpnd
begun=${EPOCHREALTIME/./}

# shellcheck source=../tests/interop/lab.sh
. tests/interop/lab.sh
lab='' client='' server=''
end_of_lab() {
    [ -z "$client" ] || kill -TERM "$client" 2>/dev/null || true
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
    [ -z "$lab" ] || lab_close "$lab"
    lab='' client='' server=''
}
tear_down() {
    local status=$?
    trap '' INT TERM
    end_of_lab
    exit "$status"
}
trap tear_down EXIT
trap 'exit 130' INT TERM

in_namespace() { ip netns exec "$(namespace_of "$lab" "$1")" "${@:2}"; }

VPND_PSK=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
export VPND_PSK

start_gateway() { # EXAMPLE
    step "A strongSwan gateway at 192.0.2.1 with examples/$1.ipsec.conf, the subnet 10.250.0.0/24 behind it"
    lab=$(lab_open $$)
    lab_client "$lab" client 0
    cp "examples/$1.ipsec.conf" "$lab/gateway/ipsec.conf"
    printf ': PSK "%s"\n' "$VPND_PSK" >"$lab/gateway/ipsec.secrets"
    start_charon "$lab" gateway
    ipsec --version | sed -n 1p | indent
    if in_namespace client ping -q -c 1 -W 1 10.250.0.5 >/dev/null 2>&1; then
        fail "10.250.0.5 answers although there is no tunnel"
    fi
    echo "10.250.0.5 cannot be reached from the client" | indent
}

up_or_ended() { grep -qs 'tunnel is up' "$lab/vpnd.out" || ! kill -0 "$client" 2>/dev/null; }

start_client() { # EXAMPLE
    step "vpnd up --config examples/$1.toml"
    # The key's file stands beside the configuration, or the key is in the environment.
    cp "examples/$1.toml" "$lab/client/"
    (umask 077 && printf '%s\n' "$VPND_PSK" >"$lab/client/psk")
    ip netns exec "$(namespace_of "$lab" client)" \
        "$vpnd" up --config "$lab/client/$1.toml" --wait 10 >"$lab/vpnd.out" 2>&1 </dev/null &
    client=$!
    wait_until 15 up_or_ended || true
    indent <"$lab/vpnd.out"
    if ! grep -q 'tunnel is up' "$lab/vpnd.out"; then
        step "The gateway's log"
        tail -n 25 "$lab/gateway/charon.log" | indent
        fail "the tunnel did not come up"
    fi
}

show_tunnel() {
    step "What was negotiated, as the gateway sees it"
    lab_ipsec "$lab" gateway statusall | grep -E '^ *workspaces[[{]' | indent
    step "The client's address and routes"
    in_namespace client ip -brief address show scope global | indent
    in_namespace client ip route show table all proto 118 | indent
    echo "(table 118 is vpnd's own; the unreachable route is the kill switch: it catches whenever the one by vpnd0 is gone)" | indent
}

use_tunnel() {
    step "ping 10.250.0.5"
    in_namespace client ping -c 3 -i 0.2 -W 2 10.250.0.5 | indent || fail "no answer through the tunnel"

    step "100 MB each way over TCP"
    ip netns exec "$(namespace_of "$lab" gateway)" \
        python3 tests/interop/transfer.py serve 10.250.0.5 >"$lab/port" 2>"$lab/server.log" </dev/null &
    server=$!
    wait_until 5 test -s "$lab/port" || fail "the server did not start: $(cat "$lab/server.log")"
    local verb
    for verb in get put; do
        in_namespace client timeout 60 \
            python3 tests/interop/transfer.py "$verb" 10.250.0.5 "$(cat "$lab/port")" 100000000 |
            indent || fail "the transfer did not end well"
    done
}

gateway_sas() { lab_ipsec "$lab" gateway statusall | grep -E '^ *workspaces[[{]'; }
no_sa_is_left() { ! gateway_sas >/dev/null; }

end_client() {
    step "SIGTERM"
    local seen status=0 left
    seen=$(wc -l <"$lab/vpnd.out")
    kill -TERM "$client"
    wait "$client" || status=$?
    client=''
    tail -n "+$((seen + 1))" "$lab/vpnd.out" | indent
    [ "$status" -eq 0 ] || fail "vpnd ended with exit code $status"
    # IKEv1 confirms no delete: the gateway may be about to read it.
    wait_until 2 no_sa_is_left || fail "the gateway still has an SA: $(gateway_sas)"
    left=$(in_namespace client ip -o link | grep -v -E '^[0-9]+: (lo|outer)[:@]' || true)
    [ -z "$left" ] || fail "a device was left behind: $left"
    left=$(in_namespace client ip route show table all | grep 10.250 || true)
    [ -z "$left" ] || fail "a route was left behind: $left"
    echo "exit code 0; no SA on the gateway, no device and no route on the client" | indent
}

for example in strongswan-ikev1 strongswan-ikev2; do
    start_gateway "$example"
    start_client "$example"
    show_tunnel
    use_tunnel
    end_client
    end_of_lab
done

elapsed=$(((${EPOCHREALTIME/./} - begun) / 10000))
printf '\ndemo passed in %d.%02d s\n' $((elapsed / 100)) $((elapsed % 100))
