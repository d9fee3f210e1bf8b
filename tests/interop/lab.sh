#!/usr/bin/env bash
# A laboratory of network namespaces around a real strongSwan gateway, used by the
# interoperability tests and by the demo. Needs root.
#
#   client<i> --[outer]-- (bridge "outer") gateway --[lo]-- 10.250.0.5, 10.251.0.5, fd00:250::5
#
# A lab is a directory. Everything it makes carries the directory's random suffix, so
# that any number of labs can exist at once, and `close` undoes all of it. A lab whose
# owner has died is closed by the next `open`.
#
#   lab.sh open [OWNER_PID]               makes a lab with a gateway namespace, prints its directory
#   lab.sh client LAB NAME NUMBER         adds a client namespace with 192.0.2.<10+NUMBER>
#   lab.sh nat LAB NAME NUMBER            the same behind a NAT (client has 192.168.77.2)
#   lab.sh behind LAB NAME NUMBER NAT     another behind the NAT of the client NAT (192.168.77.<2+NUMBER>)
#   lab.sh road LAB NAME NUMBER           a client whose link leads through a namespace of its own, NAME-road, with the devices
#                                         near and far, between which nothing passes until a bridge is put there
#   lab.sh link LAB NAME NUMBER DEVICE    another device of a client, at 198.51.100.<10+NUMBER>; the gateway's link has 198.51.100.1
#   lab.sh gateway LAB                    starts charon with LAB/gateway/{ipsec.conf,ipsec.secrets}
#   lab.sh gateway-stop LAB               ends it
#   lab.sh gateway-kill LAB               ends it without a chance to tell anybody
#   lab.sh initiator LAB NAME             starts charon in a client namespace with LAB/NAME/ipsec.*
#   lab.sh initiator-stop LAB NAME        ends it
#   lab.sh initiator-kill LAB NAME        ends it without a chance to tell anybody
#   lab.sh ipsec LAB WHERE ARGS...        runs `ipsec ARGS` beside a charon started before
#   lab.sh run LAB WHERE COMMAND...       becomes COMMAND in a namespace
#   lab.sh namespace LAB WHERE            prints the namespace's name
#   lab.sh loss LAB PERCENT               loses datagrams on the way to and from the gateway
#   lab.sh silence LAB                    the gateway's host swallows every IKE and ESP datagram
#   lab.sh heal LAB                       ends loss and silence
#   lab.sh capture LAB WHERE DEVICE FILE  captures packets, until capture-stop
#   lab.sh capture-stop LAB FILE
#   lab.sh close LAB                      ends every process, removes every namespace
#
# WHERE is `gateway` or the NAME of a client.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

lab_root=${TMPDIR:-/tmp}
lab_prefix=vpnd-lab

die() {
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

# Polls COMMAND every 20 ms for at most SECONDS.
wait_until() {
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/./}" -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

namespace_of() { printf '%s-%s-%s' "$lab_prefix" "${1##*.}" "$2"; }

# The start time beside the process ID makes sure that a reused ID is not taken for ours.
process_started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The command's name, in parentheses, may hold anything: count fields after it.
    stat=${stat##*) }
    set -- $stat
    [ "$1" != Z ] || return 1
    printf '%s' "${20}"
}

is_alive() { # FILE with "pid start-time"
    local pid started
    read -r pid started <"$1" 2>/dev/null || return 1
    [ "$(process_started_at "$pid")" = "$started" ]
}

is_gone() { ! is_alive "$1"; }

remember_process() { # FILE PID
    local started
    started=$(process_started_at "$2") || return 1
    printf '%s %s\n' "$2" "$started" >"$1"
}

# Ends the process written in FILE: asks, waits at most SECONDS, then kills.
end_process() { # FILE SIGNAL SECONDS
    local pid
    [ -e "$1" ] || return 0
    if is_alive "$1"; then
        read -r pid _ <"$1"
        kill "-$2" "$pid" 2>/dev/null || true
        if ! wait_until "$3" is_gone "$1"; then
            kill -KILL "$pid" 2>/dev/null || true
            wait_until 2 is_gone "$1" || true
        fi
    fi
    rm -f "$1"
}

require_lab() {
    case $1 in
        "$lab_root/$lab_prefix".*) [ -d "$1" ] || die "no such lab: $1" ;;
        *) die "not a lab: $1" ;;
    esac
}

add_namespace() { # LAB WHERE
    local namespace
    namespace=$(namespace_of "$1" "$2")
    ip netns add "$namespace"
    mkdir -p "$1/$2" "/etc/netns/$namespace"
    # `ip netns exec` puts this over /etc/resolv.conf, which so stays out of reach of what is tested.
    printf '# lab\n' >"/etc/netns/$namespace/resolv.conf"
    ip netns exec "$namespace" sysctl -q -w \
        net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
        net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
    ip -n "$namespace" link set lo up
}

# A veth pair: DEVICE in namespace WHERE, PORT on the gateway's bridge.
add_link() { # LAB WHERE DEVICE PORT
    local namespace gateway
    namespace=$(namespace_of "$1" "$2")
    gateway=$(namespace_of "$1" gateway)
    ip -n "$namespace" link add "$3" type veth peer name "$4" netns "$gateway"
    ip -n "$gateway" link set "$4" master outer up
    ip -n "$namespace" link set "$3" up
}

lab_open() { # [OWNER_PID]
    [ "$(id -u)" -eq 0 ] || die "network namespaces need root; run this as root"
    local tool
    for tool in ip nft tcpdump ping nsenter unshare sysctl ethtool; do
        command -v "$tool" >/dev/null || die "$tool is missing; run scripts/install-deps.sh"
    done
    [ -x /usr/lib/ipsec/charon ] || die "strongSwan is missing; run scripts/install-deps.sh"
    [ -e /usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so ] ||
        die "strongSwan's kernel-libipsec plugin is missing; run scripts/install-deps.sh"
    [ -c /dev/net/tun ] || die "/dev/net/tun is missing"

    lab_sweep
    local lab gateway
    lab=$(mktemp -d "$lab_root/$lab_prefix.XXXXXX")
    mkdir "$lab/processes"
    remember_process "$lab/owner" "${1:-$PPID}" || true
    trap 'lab_close "$lab"' ERR
    add_namespace "$lab" gateway
    gateway=$(namespace_of "$lab" gateway)
    ip -n "$gateway" link add outer type bridge forward_delay 0 mcast_snooping 0
    ip -n "$gateway" link set outer up
    ip -n "$gateway" address add 192.0.2.1/24 dev outer
    ip -n "$gateway" address add 2001:db8:2::1/64 dev outer nodad
    ip -n "$gateway" address add 10.250.0.5/32 dev lo
    ip -n "$gateway" address add 10.251.0.5/32 dev lo
    ip -n "$gateway" address add fd00:250::5/128 dev lo nodad
    trap - ERR
    printf '%s\n' "$lab"
}

lab_client() { # LAB NAME NUMBER
    local namespace
    add_namespace "$1" "$2"
    namespace=$(namespace_of "$1" "$2")
    add_link "$1" "$2" outer "port$3"
    ip -n "$namespace" address add "192.0.2.$((10 + $3))/24" dev outer
    ip -n "$namespace" address add "2001:db8:2::$((10 + $3))/64" dev outer nodad
}

lab_link() { # LAB NAME NUMBER DEVICE
    local gateway
    gateway=$(namespace_of "$1" gateway)
    add_link "$1" "$2" "$4" "$4$3"
    ip -n "$gateway" address replace 198.51.100.1/24 dev outer
    ip -n "$(namespace_of "$1" "$2")" address add "198.51.100.$((10 + $3))/24" dev "$4"
}

lab_nat() { # LAB NAME NUMBER
    local middle
    add_namespace "$1" "$2-nat"
    middle=$(namespace_of "$1" "$2-nat")
    add_link "$1" "$2-nat" outer "port$3"
    ip -n "$middle" address add "192.0.2.$((10 + $3))/24" dev outer
    ip -n "$middle" link add inner type bridge forward_delay 0 mcast_snooping 0
    ip -n "$middle" address add 192.168.77.1/24 dev inner
    ip -n "$middle" link set inner up
    lab_behind "$1" "$2" 0 "$2"
    ip netns exec "$middle" sysctl -q -w net.ipv4.ip_forward=1
    ip netns exec "$middle" nft -f - <<'NFT'
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "outer" masquerade random,fully-random
    }
}
NFT
}

lab_behind() { # LAB NAME NUMBER NAT
    local namespace middle
    add_namespace "$1" "$2"
    namespace=$(namespace_of "$1" "$2")
    middle=$(namespace_of "$1" "$4-nat")
    ip -n "$namespace" link add outer type veth peer name "port$3" netns "$middle"
    ip -n "$middle" link set "port$3" master inner up
    ip -n "$namespace" address add "192.168.77.$((2 + $3))/24" dev outer
    ip -n "$namespace" link set outer up
    ip -n "$namespace" route add default via 192.168.77.1
}

lab_road() { # LAB NAME NUMBER
    local namespace middle gateway device
    add_namespace "$1" "$2-road"
    middle=$(namespace_of "$1" "$2-road")
    gateway=$(namespace_of "$1" gateway)
    add_link "$1" "$2-road" far "port$3"
    add_namespace "$1" "$2"
    namespace=$(namespace_of "$1" "$2")
    ip -n "$namespace" link add outer type veth peer name near netns "$middle"
    # The road has no addresses: it only carries.
    ip netns exec "$middle" sysctl -q -w net.ipv6.conf.near.disable_ipv6=1 net.ipv6.conf.far.disable_ipv6=1
    ip -n "$middle" link set near up
    ip -n "$namespace" link set outer up
    ip -n "$namespace" address add "192.0.2.$((10 + $3))/24" dev outer
    ip -n "$namespace" address add "2001:db8:2::$((10 + $3))/64" dev outer nodad
    # veth leaves checksums and segmentation to a device that never comes: a packet socket would see neither.
    for device in "$namespace outer" "$gateway port$3"; do
        ip netns exec "${device% *}" ethtool -K "${device#* }" tx off gso off tso off gro off tx-udp-segmentation off >/dev/null 2>&1 ||
            die "ethtool could not switch off the offloads of $device"
    done
}

# What every charon of a lab is told; LAB/WHERE/charon.extra may add lines to it.
charon_settings() { # LAB WHERE
    local extra=
    [ ! -e "$1/$2/charon.extra" ] || extra=$(cat "$1/$2/charon.extra")
    cat <<CONF
charon {
    load_modular = no
    load = openssl random nonce kdf hmac gcm pem pubkey x509 kernel-libipsec kernel-netlink socket-default stroke updown attr unity resolve counters xauth-generic
    install_virtual_ip = yes
    filelog {
        log {
            path = $1/$2/charon.log
            time_format = %H:%M:%S
            time_add_ms = yes
            flush_line = yes
            default = 1
            ike = 2
        }
    }
    syslog {
        daemon { default = -1 }
        auth { default = -1 }
    }
    plugins {
        kernel-libipsec { allow_peer_ts = yes }
        resolve { file = $1/$2/resolv.conf }
    }
$extra
}
starter { load_warning = no }
CONF
}

# The starter adds connections one by one, after charon answers.
charon_is_loaded_or_died() { # LAB WHERE
    local last
    last=$(awk '$1 == "conn" && $2 != "%default" { last = $2 } END { print last }' "$1/$2/ipsec.conf")
    is_gone "$1/processes/charon-$2" ||
        (lab_ipsec "$1" "$2" statusall) 2>/dev/null | grep -qE "^ +$last: +child: "
}

start_charon() { # LAB WHERE
    local lab=$1 where=$2 namespace process
    namespace=$(namespace_of "$lab" "$where")
    process=$lab/processes/charon-$where
    [ -e "$lab/$where/ipsec.conf" ] || die "$lab/$where/ipsec.conf is missing"
    [ -e "$lab/$where/ipsec.secrets" ] || die "$lab/$where/ipsec.secrets is missing"
    chmod 600 "$lab/$where/ipsec.secrets"
    touch "$lab/$where/resolv.conf"
    charon_settings "$lab" "$where" >"$lab/$where/strongswan.conf"
    # Each charon has a /run of its own, where its process ID and socket stand.
    STRONGSWAN_CONF=$lab/$where/strongswan.conf ip netns exec "$namespace" unshare --mount bash -c '
        mount -t tmpfs tmpfs /run &&
        mount --bind "$1/ipsec.conf" /etc/ipsec.conf &&
        mount --bind "$1/ipsec.secrets" /etc/ipsec.secrets &&
        exec ipsec start --nofork' - "$lab/$where" \
        >"$lab/$where/starter.log" 2>&1 </dev/null &
    remember_process "$process" $! || die "the starter ended at once: $(tail -n 5 "$lab/$where/starter.log")"
    if ! wait_until 15 charon_is_loaded_or_died "$lab" "$where" || is_gone "$process"; then
        tail -n 20 "$lab/$where/starter.log" "$lab/$where/charon.log" >&2 2>/dev/null || true
        die "charon in $where did not start or was not ready within 15 seconds"
    fi
}

stop_charon() { # LAB WHERE
    # The starter ends its charon and waits for it.
    end_process "$1/processes/charon-$2" TERM 8
}

# The starter, which would start another charon, goes first.
kill_charon() { # LAB WHERE
    local pid process=$1/processes/charon-$2
    is_alive "$process" || die "no charon runs in $2"
    read -r pid _ <"$process"
    kill -KILL "$pid"
    for pid in $(ip netns pids "$(namespace_of "$1" "$2")"); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != charon ] || kill -KILL "$pid"
    done
    wait_until 2 is_gone "$process" || die "charon in $2 is still there"
    rm -f "$process"
}

lab_ipsec() { # LAB WHERE ARGS...
    local lab=$1 where=$2 pid
    shift 2
    is_alive "$lab/processes/charon-$where" || die "no charon runs in $where"
    read -r pid _ <"$lab/processes/charon-$where"
    STRONGSWAN_CONF=$lab/$where/strongswan.conf timeout 60 nsenter --target "$pid" --net --mount ipsec "$@"
}

lab_run() { # LAB WHERE COMMAND...
    local namespace
    namespace=$(namespace_of "$1" "$2")
    shift 2
    exec ip netns exec "$namespace" "$@"
}

impair() { # LAB VERDICT
    ip netns exec "$(namespace_of "$1" gateway)" nft -f - <<NFT
table inet impair
delete table inet impair
table inet impair {
    chain arriving {
        type filter hook input priority 0
        iifname "outer" udp dport { 500, 4500 } $2
    }
    chain leaving {
        type filter hook output priority 0
        oifname "outer" udp sport { 500, 4500 } $2
    }
}
NFT
}

lab_loss() { impair "$1" "numgen random mod 100 < $2 drop"; }
lab_silence() { impair "$1" drop; }

lab_heal() {
    ip netns exec "$(namespace_of "$1" gateway)" nft delete table inet impair
}

capture_listens() { grep -qs "listening on" "$1"; }

lab_capture() { # LAB WHERE DEVICE FILE
    local namespace process
    namespace=$(namespace_of "$1" "$2")
    process=$1/processes/capture-${4##*/}
    ip netns exec "$namespace" tcpdump --immediate-mode -Z root -U -n -s 0 -i "$3" -w "$4" \
        >"$4.log" 2>&1 </dev/null &
    remember_process "$process" $! || die "tcpdump ended at once: $(cat "$4.log")"
    wait_until 10 capture_listens "$4.log" || die "tcpdump does not listen: $(cat "$4.log")"
}

lab_capture_stop() { # LAB FILE
    end_process "$1/processes/capture-${2##*/}" TERM 5
}

lab_close() { # LAB
    local lab=$1 suffix=${1##*.} process namespace pid
    [ -d "$lab" ] || return 0
    for process in "$lab"/processes/capture-*; do end_process "$process" TERM 2; done
    for process in "$lab"/processes/charon-*; do end_process "$process" TERM 8; done
    for namespace in $(ip netns list | awk '{print $1}' | grep "^$lab_prefix-$suffix-" || true); do
        for pid in $(ip netns pids "$namespace"); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns delete "$namespace" 2>/dev/null || true
        rm -rf "/etc/netns/$namespace"
    done
    rmdir /etc/netns 2>/dev/null || true
    rm -rf "$lab"
}

# Closes the labs whose owners died without doing so.
lab_sweep() {
    local lab
    for lab in "$lab_root/$lab_prefix".*; do
        [ -e "$lab/owner" ] && is_gone "$lab/owner" && lab_close "$lab"
    done
    return 0
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    verb=${1:-}
    shift || true
    case $verb in
        open) lab_open "$@" ;;
        client | link | nat | behind | road | loss | silence | heal | capture | capture-stop | close | run | ipsec)
            require_lab "${1:-}"
            "lab_${verb//-/_}" "$@"
            ;;
        gateway) require_lab "${1:-}" && start_charon "$1" gateway ;;
        gateway-stop) require_lab "${1:-}" && stop_charon "$1" gateway ;;
        gateway-kill) require_lab "${1:-}" && kill_charon "$1" gateway ;;
        initiator) require_lab "${1:-}" && start_charon "$1" "$2" ;;
        initiator-stop) require_lab "${1:-}" && stop_charon "$1" "$2" ;;
        initiator-kill) require_lab "${1:-}" && kill_charon "$1" "$2" ;;
        namespace) require_lab "${1:-}" && namespace_of "$1" "$2" ;;
        *) die "unknown verb '$verb'; the verbs stand at the head of $0" ;;
    esac
fi
