#!/usr/bin/env bash
# Handshake time by phase, of vpnd and of strongSwan's own client, against the same
# strongSwan gateway. Needs root.
#
#   handshake.sh [vpnd] [strongswan]        RUNS=11 VPND=target/release/vpnd
#
# One ruler for both: a capture on the client's outer interface, and the moment the
# client's line "up" is read. The median of RUNS runs, in milliseconds.
#
#   start      command given -> first datagram (vpnd: a new process, which reads its
#              config and makes its key pair; strongSwan: a word to a running daemon)
#   sa-init    IKE_SA_INIT request -> response (path and gateway)
#   agree      IKE_SA_INIT response -> IKE_AUTH request (client: shared secret, keys)
#   auth       IKE_AUTH request -> response (path and gateway)
#   host       IKE_AUTH response -> "up" (client: SAs, TUN, address, routes)
#   handshake  first datagram -> "up"
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=../../tests/interop/lab.sh
. "$root/tests/interop/lab.sh"

runs=${RUNS:-11}
vpnd=${VPND:-$root/target/release/vpnd}
clients=("$@")
[ "${#clients[@]}" -gt 0 ] || clients=(vpnd strongswan)
groups=(modp2048 ecp256 curve25519)
psk="one phase after the other"

lab=$(lab_open $$)
trap 'lab_close "$lab"' EXIT
lab_client "$lab" vpnd 0
lab_client "$lab" strongswan 1

ike=
for group in "${groups[@]}"; do ike+=",aes256-sha256-$group"; done
cat >"$lab/gateway/ipsec.conf" <<CONF
config setup
    uniqueids=never

conn workspaces
    keyexchange=ikev2
    authby=psk
    forceencaps=yes
    ike=${ike#,}!
    esp=aes256-sha256!
    left=192.0.2.1
    leftsubnet=0.0.0.0/0
    right=%any
    rightsourceip=10.200.0.0/24
    auto=add
CONF
for group in "${groups[@]}"; do
    cat >>"$lab/strongswan/ipsec.conf" <<CONF
conn $group
    keyexchange=ikev2
    authby=psk
    forceencaps=yes
    ike=aes256-sha256-$group!
    esp=aes256-sha256!
    left=%defaultroute
    leftid=client@example.com
    leftsourceip=%config
    right=192.0.2.1
    rightsubnet=10.250.0.0/24
    auto=add
CONF
    cat >"$lab/vpnd/$group.toml" <<CONF
[gateway]
address = "192.0.2.1"
subnets = ["10.250.0.0/24"]
psk_file = "psk"

[local]
id = "client@example.com"

[ike]
version = 2
proposals = ["aes256-sha256-$group"]

[esp]
proposals = ["aes256-sha256"]
CONF
done
printf '%s' "$psk" >"$lab/vpnd/psk"
chmod 600 "$lab/vpnd/psk"
printf ': PSK "%s"\n' "$psk" | tee "$lab/gateway/ipsec.secrets" >"$lab/strongswan/ipsec.secrets"
start_charon "$lab" gateway

now() { printf '%s' "$EPOCHREALTIME"; }

# Prints "start up" for one handshake, after which the tunnel is down again.
run_vpnd() { # GROUP
    local line started up='' status=0
    started=$(now)
    coproc CLIENT { exec ip netns exec "$(namespace_of "$lab" vpnd)" "$vpnd" up --config "$lab/vpnd/$1.toml" --wait 10 2>"$lab/vpnd/errors"; }
    local pid=$CLIENT_PID
    while read -r -t 15 line <&"${CLIENT[0]}"; do
        case $line in *"tunnel is up"*)
            up=$(now)
            break
            ;;
        esac
    done
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || status=$?
    [ -n "$up" ] && [ "$status" -eq 0 ] || die "vpnd failed with $1 (exit code $status): $(cat "$lab/vpnd/errors")"
    printf 'run %s %s\n' "$started" "$up"
}

run_strongswan() { # GROUP
    local line started up='' pid
    read -r pid _ <"$lab/processes/charon-strongswan"
    started=$(now)
    while read -r line; do
        case $line in *"established successfully"*) up=$(now) ;; esac
    done < <(timeout 15 nsenter --target "$pid" --net --mount /usr/lib/ipsec/stroke up "$1")
    [ -n "$up" ] || die "strongSwan's client failed with $1"
    printf 'run %s %s\n' "$started" "$up"
    lab_ipsec "$lab" strongswan down "$1" >/dev/null
}

medians() { # FILE ADDRESS; the file holds the capture's lines and the runs'
    sort -k2,2 "$1" | awk -v client="$2" '
        function median(values, n,   i, j, t) {
            for (i = 2; i <= n; i++) {
                t = values[i]
                for (j = i - 1; j >= 1 && values[j] > t; j--) values[j + 1] = values[j]
                values[j + 1] = t
            }
            return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
        }
        function ms(from, to) { return (to - from) * 1000 }
        $1 == "run" { n++; started[n] = $2; up[n] = $3; next }
        n && $2 <= up[n] {
            outgoing = index($4, client ".") == 1
            count[n]++
            # request, response, request, response
            if (count[n] <= 4 && outgoing != count[n] % 2) bad = 1
            at[n, count[n]] = $2
        }
        END {
            for (i = 1; i <= n; i++) {
                if (count[i] < 4) bad = 1
                a[i] = ms(started[i], at[i, 1]); b[i] = ms(at[i, 1], at[i, 2]); c[i] = ms(at[i, 2], at[i, 3])
                d[i] = ms(at[i, 3], at[i, 4]); e[i] = ms(at[i, 4], up[i]); f[i] = ms(at[i, 1], up[i])
            }
            if (bad || !n) { print "the capture does not show two exchanges a run" > "/dev/stderr"; exit 1 }
            printf "%8.1f %8.1f %8.1f %8.1f %8.1f %10.1f\n", \
                median(a, n), median(b, n), median(c, n), median(d, n), median(e, n), median(f, n)
        }'
}

printf '%-12s %-12s %8s %8s %8s %8s %8s %10s\n' client group start sa-init agree auth host handshake
for group in "${groups[@]}"; do
    for client in "${clients[@]}"; do
        case $client in
            vpnd)
                [ -x "$vpnd" ] || die "$vpnd is missing; run: make build"
                address=192.0.2.10
                ;;
            strongswan)
                address=192.0.2.11
                [ -e "$lab/processes/charon-strongswan" ] || start_charon "$lab" strongswan
                ;;
            *) die "unknown client '$client'" ;;
        esac
        packets=$lab/$client-$group.packets
        ip netns exec "$(namespace_of "$lab" "$client")" tcpdump --immediate-mode -Z root -l -tt -n -i outer "udp and host 192.0.2.1" \
            >"$packets" 2>"$packets.log" </dev/null &
        remember_process "$lab/processes/capture-phases" $!
        wait_until 10 capture_listens "$packets.log" || die "tcpdump does not listen"
        for ((i = 0; i < runs; i++)); do "run_$client" "$group"; done >"$lab/runs"
        lab_capture_stop "$lab" phases
        sed 's/^/packet /' "$packets" >>"$lab/runs"
        printf '%-12s %-12s ' "$client" "$group"
        medians "$lab/runs" "$address"
    done
done
printf '\nMedian of %s runs, in milliseconds, %s\n' "$runs" "$(/usr/lib/ipsec/charon --version 2>/dev/null | head -n 1 || true)"
