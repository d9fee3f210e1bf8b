#!/usr/bin/env bash
# IKEv2, or IKEv1, against a real strongSwan gateway with lifetimes of twenty seconds for everything,
# and an echo request every ten milliseconds: not one may be lost. Needs root.
#
#   soak.sh [SECONDS [VERSION]]      600 and 2 unless told
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-600}
version=${2:-2}
case $version in
    1 | 2) ;;
    *) printf 'the version is 1 or 2, not %s\n' "$version" >&2; exit 2 ;;
esac

fail() {
    printf '\nsoak failed: %s\n' "$*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "network namespaces need root; run: sudo -E make soak"
vpnd=${CARGO_TARGET_DIR:-target}/release/vpnd
[ -x "$vpnd" ] || fail "$vpnd is missing; run: make soak"

# shellcheck source=../tests/interop/lab.sh
. tests/interop/lab.sh
lab=$(lab_open $$)
client='' pings=''
tear_down() {
    local status=$?
    trap '' INT TERM
    [ -z "$pings" ] || kill -TERM "$pings" 2>/dev/null || true
    [ -z "$client" ] || kill -TERM "$client" 2>/dev/null || true
    lab_close "$lab"
    exit "$status"
}
trap tear_down EXIT
trap 'exit 130' INT TERM

psk=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
export VPND_PSK=$psk
# The sample, but for the times. The gateway rekeys after 15 to 18 seconds, vpnd after 14 to 17.
sed -e 's/lifetime=.*/lifetime=20s/' "examples/strongswan-ikev$version.ipsec.conf" >"$lab/gateway/ipsec.conf"
printf '    margintime=2s\n    rekeyfuzz=100%%\n    reauth=no\n' >>"$lab/gateway/ipsec.conf"
printf ': PSK "%s"\n' "$psk" >"$lab/gateway/ipsec.secrets"
lab_client "$lab" client 0
sed -e 's/^lifetime .*/lifetime = "20s"/' "examples/strongswan-ikev$version.toml" >"$lab/client/vpnd.toml"
(umask 077 && printf '%s\n' "$psk" >"$lab/client/psk")
start_charon "$lab" gateway

namespace=$(namespace_of "$lab" client)
ip netns exec "$namespace" "$vpnd" up --config "$lab/client/vpnd.toml" --wait 10 >"$lab/vpnd.out" 2>&1 </dev/null &
client=$!
up_or_ended() { grep -qs 'tunnel is up' "$lab/vpnd.out" || ! kill -0 "$client" 2>/dev/null; }
wait_until 15 up_or_ended || true
grep -q 'tunnel is up' "$lab/vpnd.out" || fail "the tunnel did not come up: $(cat "$lab/vpnd.out")"

ip netns exec "$namespace" python3 tests/interop/pings.py 10.250.0.5 10 "$duration" >"$lab/pings.out" 2>&1 </dev/null &
pings=$!

times() { grep -c -E -- "$1" "$lab/gateway/charon.log" || true; }
counts() {
    if [ "$version" -eq 2 ]; then
        printf 'child rekeyed %d times by vpnd, %d times by the gateway; IKE SA %d times by vpnd, %d times by the gateway\n' \
            "$(times 'parsed CREATE_CHILD_SA request [0-9]+ \[ N\(REKEY_SA\)')" \
            "$(times 'generating CREATE_CHILD_SA request [0-9]+ \[ N\(REKEY_SA\)')" \
            "$(times 'parsed CREATE_CHILD_SA request [0-9]+ \[ SA No KE \]')" \
            "$(times 'generating CREATE_CHILD_SA request [0-9]+ \[ SA No KE \]')"
        return
    fi
    printf 'phase 1 renewed %d times; phase 2 rekeyed %d times by vpnd, %d times by the gateway\n' \
        $(($(times 'IKE_SA workspaces\[[0-9]+\] established between') - 1)) \
        $(($(times 'parsed QUICK_MODE request [0-9]+ \[ HASH SA') - 1)) \
        "$(times 'generating QUICK_MODE request [0-9]+ \[ HASH SA')"
}
printf 'IKEv%d, all lifetimes 20 s, an echo request every 10 ms, for %d s\n' "$version" "$duration"
begun=$SECONDS
while kill -0 "$pings" 2>/dev/null; do
    sleep 1
    [ $(((SECONDS - begun) % 60)) -ne 0 ] || printf '%4d s: %s\n' $((SECONDS - begun)) "$(counts)"
done
wait "$pings" || fail "the echo requests failed: $(cat "$lab/pings.out")"
pings=''

cat "$lab/pings.out"
counts
ups=$(grep -c 'tunnel is up' "$lab/vpnd.out" || true)
status=0
kill -TERM "$client" 2>/dev/null || true
wait "$client" || status=$?
client=''
[ "$ups" -eq 1 ] || fail "the tunnel was made $ups times: $(cat "$lab/vpnd.out")"
[ "$status" -eq 0 ] || fail "vpnd ended with exit code $status: $(cat "$lab/vpnd.out")"
grep -q '^sent [0-9]*, answered [0-9]*, lost 0$' "$lab/pings.out" || fail "packets were lost"
printf 'soak passed\n'
