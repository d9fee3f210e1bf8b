//! Configuration files: the smallest, one with every key, and some with mistakes that people make.

use crate::Input;

const SMALLEST: &str = "[gateway]\naddress = \"198.51.100.1\"\nsubnets = [\"10.250.0.0/24\"]\npsk_file = \"psk\"\n";

const WHOLE: &str = r#"[gateway]
address = ["gateway.example", "2001:db8::1"]
port = 4500
id = "gateway.example"
subnets = ["10.250.0.0/24", "fd00:250::/64"]
psk_env = "VPND_PSK"
psk_format = "hex"

[local]
id = "${HOSTNAME}@example"
address = "virtual"

[ike]
version = 2
proposals = ["aes256-sha256-modp2048", "aes256gcm16-prfsha384-ecp384", "chacha20poly1305-prfsha256-x25519"]
lifetime = "4h"
dpd = "30s"
keepalive = "20s"
fragmentation = 1280
mobike = false
initial_contact = true

[esp]
proposals = ["aes256gcm16", "aes128-sha1", "aes256-sha256-modp2048-esn"]
lifetime = "1h"
replay_window = 1024
esn = false
children = "auto"

[tun]
name = "vpnd0"
mtu = 1400
routes = true

[log]
level = "info"
format = "json"

[security]
allow_weak = true
"#;

const IKEV1: &str = r#"[gateway]
address = "198.51.100.1"
subnets = ["10.250.0.0/24", "10.251.0.0/24"]
psk_file = "psk"

[local]
id = "branch@example"
shared_identity = true
subnets = ["10.9.0.0/24", "10.8.0.0/24"]

[ike]
version = 1
mode = "aggressive"
proposals = ["aes256-sha256-modp2048", "aes256gcm16-prfsha256-x25519"]
xauth_user = "branch"
xauth_password_env = "P"

[esp]
proposals = ["aes256-sha256_96-modp2048", "aes128gcm16-ecp256"]
children = "one"
"#;

const MISTAKES: &str = "[gateway]\nadress = \"198.51.100.1\"\nsubnets = [\"10.250.0.5/24\", 7]\npsk = \"short\"\n\n[ike]\n\
    version = 1\nproposals = [\"aes265-sha256\", \"3des-md5-modp768\"]\nlifetime = 3600\n\n[tunn]\nmtu = 90000\n";

pub fn inputs() -> Vec<Input> {
    let octets = |text: &str| text.as_bytes().to_vec();
    vec![
        ("smallest", octets(SMALLEST)),
        ("whole", octets(WHOLE)),
        ("ikev1", octets(IKEV1)),
        ("mistakes", octets(MISTAKES)),
        ("not_toml", octets("[gateway\naddress = \u{1b}[31m\npsk = 'half\n")),
        ("inline", octets("gateway = { address = \"192.0.2.1\", subnets = [\"0.0.0.0/0\"], psk_env = \"P\" }\n")),
        (
            "dotted",
            octets("gateway.address = \"192.0.2.1\"\ngateway.subnets = [\"::/0\"]\ngateway.psk_credential = \"p\"\n"),
        ),
        ("twice", octets(&[SMALLEST, SMALLEST].concat())),
        ("wide", octets(&format!("{SMALLEST}x = \"{}\u{fc}\u{200b}\t{}\"\n", "a".repeat(150), "b".repeat(150)))),
        (
            "fixed_address",
            octets(&format!("{SMALLEST}[local]\naddress = \"10.9.0.1/24\"\nsubnets = [\"10.9.0.0/24\"]\n")),
        ),
        ("weak", octets(&format!("{SMALLEST}[esp]\nproposals = [\"3des-sha1\", \"aes128-sha1-modp1024\"]\n"))),
        ("hex_psk", octets("0x6162636465666768696a6b6c6d6e6f70")),
        ("base64_psk", octets("YWJjZGVmZ2hpamtsbW5vcA==\r\n")),
    ]
}
